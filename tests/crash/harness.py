"""A scope of its own on a broker, and `oncue run` on it as real processes that can be killed.

The processes are started as an operator starts them, and started again with the same command.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException, Producer, TopicPartition

from flows import kafka
from flows import topics as making
from flows.kafka import KafkaTrouble
from operators import playbook as playbooks
from schemas import topics
from tests.crash.faults import Fault
from tests.crash.traffic import PARTITIONS, Message, playbook
from tests.models import linear
from tests.program import Program, until

EPOCHS = ("100ms", "300ms", "700ms", "1500ms")
IN_USE = "is in use by process"
EVENTS_PER_MODEL = 1_000
FLUSH = 180.0  # seconds; the broker may be stopped for a while
GAVE_UP = "crashes in a row, giving up"


class Scope:
    """Topics, playbook file and state directory of one scope. Leaving the `with` block kills what runs.

    `engine` are settings for `playbook` in traffic.py; every start draws another epoch length.
    `partitions` is how many each input topic has.
    """

    def __init__(
        self, brokers: str, folder: Path, seed: int = 0, partitions: int = PARTITIONS, **engine: str
    ) -> None:
        self.brokers = brokers
        self.name = f"k{secrets.token_hex(4)}"
        self.state = folder / "state"
        self.config = folder / f"{self.name}.yaml"
        self._folder = folder
        self._partitions = partitions
        self._engine = engine
        self._random = random.Random(seed)
        self.runs: list[Program] = []
        self._write("300ms")
        self.book = playbooks.load(self.config.read_text())
        making.create(self.book, brokers, partitions)
        self._producer = Producer(
            {"bootstrap.servers": brokers, "enable.idempotence": True, "linger.ms": 5, "log_level": 0}
        )
        self._reader = kafka.consumer(brokers, self.name)
        self._grouped = kafka.consumer(brokers, f"oncue-{self.name}")
        self._sent = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for run in self.runs:
            run.end()
        self._reader.close()
        self._grouped.close()

    def send(self, messages: Sequence[Message]) -> None:
        """Bring to the broker; returns when it has all of them. Now and then a model is learnt."""
        names = {**self.book.topics, **self.book.reference}
        for number, (source, partition, value) in enumerate(messages):
            self._producer.produce(names[source], value, partition=partition)
            self._sent += 1
            if self._sent % EVENTS_PER_MODEL == 0:
                bias = self._sent // EVENTS_PER_MODEL % 3 - 0.5  # scores of .38, .62 and .82
                model = linear(self.book.foretold["churn"].definition, self._sent, bias, recency=0.3)
                self._producer.produce(topics.learning(self.name, "models"), model, b"churn", partition=0)
            if number % 20_000 == 19_999:  # its queue holds 100,000
                self._producer.flush(FLUSH)
        assert self._producer.flush(FLUSH) == 0, "the broker did not take the events"

    def finish(self) -> None:
        making.finish(self.book, self.brokers)

    def start(self, workers: int = 1, state: Path | None = None, more: Sequence[object] = ()) -> Program:
        return self._start("flows.cli", *self._command(workers, state), *more)

    def start_doomed(self, place: str, count: int) -> Program:
        """One worker that kills itself when it passes the place for the `count`-th time."""
        return self._start("tests.crash.doomed", place, count, *self._command(1, None))

    def _command(self, workers: int, state: Path | None) -> tuple[object, ...]:
        more = ("--workers", workers) if workers > 1 else ()
        return (
            "run", "--config", self.config, "--brokers", self.brokers, "--state", state or self.state, *more,
        )  # fmt: skip

    def _start(self, module: str, *arguments: object) -> Program:
        self._write(self._engine.get("epoch", self._random.choice(EPOCHS)))
        run = Program(self._folder / f"run-{len(self.runs)}.log", *arguments, module=module)
        self.runs.append(run)
        return run

    def ordered(self) -> int:
        """How many records the order topic holds, as soon as the broker says so."""

        def asked() -> list[int]:
            try:
                return [kafka.bounds(self._reader, (topics.order(self.name), 0))[1]]
            except KafkaTrouble:  # a broker that was just killed, or stood still
                return []

        found: list[int] = until(asked, "the broker's answer", FLUSH)
        return found[0]

    def worked_off(self) -> int:
        """How many records of the input are durably in the state, as the consumer group says."""
        try:
            places = [TopicPartition(topic, p) for topic in self.book.inputs for p in range(self._partitions)]
            return sum(max(0, one.offset) for one in self._grouped.committed(places, 10))
        except KafkaException:  # a broker that was just killed
            return 0

    def complete(self, seconds: float = 180, workers: int = 1) -> Program:
        """Start, as often as it takes while an older worker still holds the lock, until the input ends."""
        until = time.monotonic() + seconds
        while True:
            run = self.start(workers)
            code = run.wait(max(1.0, until - time.monotonic()))
            if code == 0:
                return run
            assert IN_USE in run.said, f"exit code {code}: {run.said[-2000:]}"

    def _write(self, epoch: str) -> None:
        self.config.write_text(playbook(self.name, **{**self._engine, "epoch": epoch}))


class Feed:
    """Sends messages from a thread at a steady rate, as far as it is allowed to."""

    def __init__(self, scope: Scope, messages: Sequence[Message], rate: float) -> None:
        self._scope = scope
        self._messages = messages
        self._rate = rate
        self._allowed = 0
        self._sent = 0
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def allow(self, share: float) -> None:
        with self._more:
            self._allowed = max(self._allowed, round(len(self._messages) * share))
            self._more.notify_all()

    def rest(self) -> None:
        """All that is left, at once; returns when it is on the broker."""
        self._stop.set()
        self.allow(1)
        self._thread.join()
        if self._error is not None:
            raise self._error
        self._scope.send(self._messages[self._sent :])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self.allow(1)
        self._thread.join()

    def _run(self) -> None:
        step = max(1, round(self._rate / 20))
        try:
            while not self._stop.wait(step / self._rate) and self._sent < len(self._messages):
                with self._more:
                    while self._sent >= self._allowed and not self._stop.is_set():
                        self._more.wait()
                    end = min(self._sent + step, self._allowed)
                if not self._stop.is_set():
                    self._scope.send(self._messages[self._sent : end])
                    self._sent = end
        except BaseException as error:
            self._error = error


@dataclass
class Story:
    """What was done to a run. `rushed`: kills before it had made a cut; `locked`: starts while a worker
    of the one before still lived; `surprises`: ends that nobody asked for."""

    kills: int = 0
    rushed: int = 0
    starts: int = 0
    locked: int = 0
    gave_up: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)


def kill_again_and_again(
    scope: Scope, messages: Sequence[Message], kills: int, seed: int, workers: int = 1, pace: float = 1.0,
    life: float = 0.7, faults: Sequence[Fault] = (), lives: float = 6, abreast: bool = False,
    tell: Callable[[Story], None] = lambda story: None,
) -> Story:  # fmt: skip
    """Feed the scope and kill what runs, `kills` times at random moments, some in quick succession; then
    let it end. Each life gets a share of the events, some before it starts and some while it runs; the end
    of the input is announced before the last kill. `pace`: seconds in which a share is sent; `life`: how
    long it lives on average after its first cut. Of `faults` one happens in one of so many `lives`, before
    the kill. `abreast`: before a kill it must have worked off what was there two kills ago, so that all
    kills fall into the work. `tell` hears of every end."""
    rng = random.Random(seed)
    story = Story()
    began = time.monotonic()
    rush = 0
    run: Program | None = None
    with Feed(scope, messages, max(200.0, len(messages) / (kills + 1) / pace)) as feed:
        while story.kills < kills:
            feed.allow((story.kills + 0.3) / (kills + 1))
            if story.kills == kills - 1:
                feed.rest()
                scope.finish()
            before = scope.ordered()
            if run is None or not run.running:
                run = scope.start(workers)
                story.starts += 1
            if rush:
                rush -= 1
                story.rushed += 1
                _live(run, rng.uniform(0.02, 1.2))
            else:
                rush = rng.choice((1, 2)) if rng.random() < 0.3 else 0
                _await_cuts(scope, run, before + 2)
                feed.allow((story.kills + 1) / (kills + 1))
                while (
                    abreast
                    and run.running
                    and scope.worked_off() < len(messages) * (story.kills - 1) / (kills + 1)
                ):
                    _live(run, 0.3)
                _live(run, rng.expovariate(1 / life))
                if faults and run.running and rng.random() < 1 / lives:
                    fault = rng.choice(faults)
                    story.faults[fault.name] += 1
                    fault.do(run)
                    if not run.running:
                        continue
                    _live(run, rng.expovariate(1 / life))
            if run.running:
                _strike(rng, run)
                story.kills += 1
            elif run.process.returncode == 0 and story.kills == kills - 1:
                break  # it was quicker: the input had ended
            else:
                _note(story, run)
            tell(story)
        if not kills:
            feed.rest()
            scope.finish()
    while run is None or _end(scope, run) != 0:
        if run is not None and run.process.returncode > 0:
            _note(story, run)
        assert len(story.surprises) < 5, story.surprises
        run = scope.start(workers)
        story.starts += 1
    story.seconds = time.monotonic() - began
    return story


def _await_cuts(scope: Scope, run: Program, wanted: int) -> None:
    """Return when `order` holds so many records, or the run has ended."""
    try:
        until(lambda: not run.running or scope.ordered() >= wanted, f"{wanted} records in order")
    except AssertionError as late:
        raise AssertionError(f"{late}; it said: {run.autopsy()}") from None


def _end(scope: Scope, run: Program) -> int:
    """Its exit code, however long it takes, as long as it gets on."""
    while run.running:
        _await_cuts(scope, run, scope.ordered() + 1)
    return run.process.wait()


def _live(run: Program, seconds: float) -> None:
    """Let it run so long; a random moment, not something to wait for."""
    try:
        run.process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass


def _strike(rng: random.Random, run: Program) -> None:
    """SIGKILL: the process, or with workers the supervisor, one of them or all at once."""
    members = run.members()
    victim = rng.choice(("supervisor", "member", "member", "all")) if members else "supervisor"
    if victim == "supervisor":
        run.kill()
    elif victim == "all":
        run.end()
    else:
        os.kill(rng.choice(members), signal.SIGKILL)
        until(
            lambda: not run.running or not {*run.members()} & {*members},
            f"the other workers end; {run.said[-500:]}",
            60,
        )


def _note(story: Story, run: Program) -> None:
    if IN_USE in run.said:
        story.locked += 1
    elif GAVE_UP in run.said:
        story.gave_up += 1
    else:
        story.surprises.append(f"exit code {run.process.returncode}: {run.said[-1500:]}")
