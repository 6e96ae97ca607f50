"""The learning flow of a scope on one page.

<subject>-examples (one partition: examples from the customer step, commands of operators)
    examples   the records from where the last snapshot stood, in their order
    learn      the learner: test every contestant, learn, publish; its snapshot is the learner itself
    publish    models (by subject and version) | model-metrics

once for each subject: churn, intent. What is published of a subject depends on its records and their order
alone, and its version is its position among them. So after a crash what is already there is known by its
version, and is not published again.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Collection
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import bytewax.operators as op
import msgspec
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import run_main
from confluent_kafka import TopicPartition

from flows import kafka, tail
from flows.kafka import KafkaTrouble
from flows.metadata import waking
from flows.models import named
from flows.telemetry import log
from flows.telemetry.learner import ExamplesView, LearnerView, ReportView, last_reports
from flows.telemetry.settings import Settings
from flows.telemetry.watching import Watching
from flows.writer import Outgoing, Writer
from operators.churn import frozen, published
from operators.churn.learner import Course, Learner, Output
from operators.foretold import Foretold
from operators.playbook import Playbook
from schemas import topics
from schemas.churn import COMMAND, Command, Example
from state.directory import Directory

EPOCH = timedelta(seconds=2)

Item = tuple[int, bytes | None, bytes]  # offset, key, value
_example = msgspec.json.Decoder(Example).decode
_command = msgspec.json.Decoder(Command).decode
_encode = msgspec.json.Encoder().encode


class Learning(NamedTuple):
    """One run of the learning flow. `once`: end where the examples end now."""

    scope: str
    foretold: dict[str, Foretold]
    brokers: str
    directory: Directory
    stop: threading.Event
    once: bool
    watching: Watching
    report: ReportView


def course(foretold: Foretold) -> Course:
    definition = foretold.definition
    return Course(
        definition.inputs, definition.horizon, definition.fingerprint, version("river"),
        foretold.contestants, foretold.champion, foretold.terms,
    )  # fmt: skip


def topology(run: Learning) -> Dataflow:
    flow = Dataflow("oncue-learning")
    for subject in run.foretold:
        _of(subject, flow, run)
    return flow


def _of(subject: str, flow: Dataflow, run: Learning) -> None:
    """The steps of one subject, which is their one key and partition."""
    examples = op.input(f"{subject}-examples", flow, Examples(run, subject))
    keyed = op.key_on(f"{subject}-key", examples, lambda _: subject)
    outputs = op.stateful_batch(f"{subject}-learn", keyed, lambda raw: Learn(run, subject, raw))
    op.output(f"{subject}-publish", outputs, Publish(run, subject))


def prepare(
    playbook: Playbook,
    brokers: str,
    state: Path,
    subjects: Collection[str],
    once: bool = False,
    anew: bool = False,
    telemetry: Settings | None = None,
) -> Learning:
    """Check topics and state. `subjects`: what to learn of the playbook; `anew`: forget what was learnt.
    Raises KafkaTrouble, StateError."""
    foretold = {subject: playbook.foretold[subject] for subject in subjects}
    client = kafka.consumer(brokers, "oncue-check")
    try:
        names = [topics.learning(playbook.scope, it.name) for it in topics.LEARNING]
        names += [topics.examples(playbook.scope, it) for it in foretold]
        kafka.partitions(client, names, brokers)
    finally:
        client.close()
    directory = Directory(state / "learning", playbook.scope)
    directory.open({}, _empty)
    directory.lock()
    if anew:
        shutil.rmtree(directory.recovery)
        directory.open({}, _empty)
    watching = Watching(telemetry)
    before = last_reports(brokers, topics.learning(playbook.scope, "model-metrics"))
    return Learning(
        playbook.scope, foretold, brokers, directory, threading.Event(), once, watching,
        ReportView(watching.figures, before),
    )  # fmt: skip


def _empty(recovery: Path) -> None:
    init_db_dir(recovery, 1)


def work(run: Learning) -> None:
    """Until SIGTERM comes, or the end of the examples where that was asked for."""
    recovery = RecoveryConfig(str(run.directory.recovery))
    with run.watching.on(run.scope):
        run_main(topology(run), epoch_interval=EPOCH, recovery_config=recovery)


class Examples(FixedPartitionedSource[Item, int]):
    def __init__(self, run: Learning, subject: str) -> None:
        self._run, self._subject = run, subject

    def list_parts(self) -> list[str]:
        return [self._subject]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> ExamplesPartition:
        return ExamplesPartition(self._run, self._subject, resume_state)


class ExamplesPartition(StatefulSourcePartition[Item, int]):
    def __init__(self, run: Learning, subject: str, resume: int | None) -> None:
        self._run = run
        place = topics.examples(run.scope, subject), 0
        self._client = kafka.consumer(run.brokers, "oncue-learning", **waking(run.brokers))
        first, self._end = kafka.bounds(self._client, place)
        self._next = first if resume is None else resume
        if self._next < first:
            raise KafkaTrouble(
                f"{kafka.show(place)} begins at {first}, but the learner stands at {self._next}: what is "
                "between was trimmed. Run with --anew to learn from what is left"
            )
        self._client.assign([TopicPartition(*place, self._next)])
        self._view = ExamplesView(self._client, place, run.watching.settings.within)
        self._view.next = self._next
        run.watching.figures.watch(self._view.points)
        run.watching.health.check(f"{subject}-examples", self._view.why_not)
        run.watching.health.started = True

    def next_batch(self) -> list[Item]:
        timings = self._run.watching.timings
        began = timings.begin("examples")
        try:
            return self._turn()
        finally:
            timings.add("examples", began)

    def _turn(self) -> list[Item]:
        if self._run.stop.is_set() or (self._run.once and self._next >= self._end):
            raise StopIteration
        found: list[Item] = []
        for record in kafka.take(self._client, 500):
            error = record.error()
            if error is None:
                found.append((record.offset(), record.key(), record.value() or b""))
                self._next = record.offset() + 1
                self._view.arrived = record.timestamp()[1]
            elif kafka.is_end(error):
                self._next = max(self._next, record.offset())  # over a transaction's marker
            elif not kafka.passing(error):
                raise KafkaTrouble(f"cannot read {record.topic()}: {error.str()}")
        self._view.next = self._next
        self._view.taken += len(found)
        return found

    def snapshot(self) -> int:
        return self._next

    def close(self) -> None:
        self._view.closed = True
        self._client.close()


class Learn(StatefulBatchLogic[Item, Output, bytes]):
    """The learner ignores what it has taken already, so it may be newer than the source's snapshot."""

    def __init__(self, run: Learning, subject: str, raw: bytes | None) -> None:
        foretold = run.foretold[subject]
        what, about = course(foretold), foretold.definition.subject
        self._subject = subject
        self._learner = Learner(what, about) if raw is None else frozen.thaw(raw, what, about)
        self._timings = run.watching.timings
        run.watching.figures.watch(LearnerView(self._learner).points)

    def on_batch(self, values: list[Item]) -> tuple[list[Output], bool]:
        began = self._timings.begin("learn")
        out: list[Output] = []
        for offset, key, value in values:
            try:
                record: Example | Command = _command(value) if key == COMMAND else _example(value)
                out += self._learner.apply(offset, record)
            except (msgspec.MsgspecError, ValueError) as error:
                what = f"{self._subject} example {offset}"
                log.say(f"{what} cannot be used and is passed over: {error}", "WARN")
        self._timings.add("learn", began)
        return out, False

    def snapshot(self) -> bytes:
        began = self._timings.begin("learn snapshot")
        frozen_ = frozen.freeze(self._learner)
        self._timings.pause("learn", began)
        return frozen_


class Publish(FixedPartitionedSink[Output, None]):
    def __init__(self, run: Learning, subject: str) -> None:
        self._run, self._subject = run, subject

    def list_parts(self) -> list[str]:
        return [self._subject]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> PublishPartition:
        return PublishPartition(self._run, self._subject)


class PublishPartition(StatefulSinkPartition[Output, None]):
    """Fences its predecessor first, then looks at what there is of its subject: nothing can be added behind
    its back."""

    def __init__(self, run: Learning, subject: str) -> None:
        self._scope, self._subject = run.scope, subject
        self._figures, self._timings = run.watching.figures, run.watching.timings
        self._report = run.report
        models, metrics = topics.learning(run.scope, "models"), topics.learning(run.scope, "model-metrics")
        self._timings.waits("the broker")
        self._writer = Writer(
            run.brokers, f"oncue-learning-{run.scope}-{subject}", [(models, 0), (metrics, 0)]
        )
        self._there = There(run.brokers, models, metrics, subject)
        self._timings.waits("")
        self._writer.start()

    def write_batch(self, items: list[Output]) -> None:
        new = [item for item in items if self._there.lacks(item)]
        outgoing = [record(self._subject, item, self._scope) for item in new]
        self._writer.send(outgoing)
        for item in new:
            if item.metrics is not None:
                self._report.published(self._subject, item.metrics)
        for it in outgoing:
            self._figures.count("messaging.client.sent.messages", 1, it.topic)

    def snapshot(self) -> None:
        """The epoch is not committed before readers can see all of it."""
        self._timings.waits("the broker")
        self._writer.flush()
        self._timings.waits("")

    def close(self) -> None:
        self._timings.waits("the broker")
        self._writer.close()
        self._timings.waits("")


class There:
    """What has been published of a subject before: the newest versions, and which models were said to be
    gone."""

    def __init__(self, brokers: str, models: str, metrics: str, subject: str) -> None:
        self.model = self.metrics = 0
        self.gone: set[int] = set()
        for record in tail.history(brokers, [models], partitions=[0]):
            whose, version = named(record.key())
            if whose == subject and record.value():
                self.model = max(self.model, version)
            elif whose == subject:
                self.gone.add(version)
        for record in tail.history(brokers, [metrics], partitions=[0]):
            whose, version = named(record.key())
            if whose == subject:
                self.metrics = max(self.metrics, version)

    def lacks(self, item: Output) -> bool:
        if item.metrics is not None:
            return item.version > self.metrics
        if item.version != self.model:
            return item.version > self.model
        return bool(item.gone) and item.gone not in self.gone


def record(subject: str, item: Output, scope: str) -> Outgoing:
    """As it is published."""
    key = f"{subject}/{item.gone or item.version}"
    if item.metrics is not None:
        return Outgoing(topics.learning(scope, "model-metrics"), 0, key, _encode(item.metrics), [])
    body = published.encode(item.model) if item.model is not None else None
    return Outgoing(topics.learning(scope, "models"), 0, key, body, [])
