"""A rehearsal: two playbooks over the same range, each in topics and state of its own, and what differs."""

from __future__ import annotations

import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from flows import kafka, outcomes, ranges, start, supervise
from flows import plan as planning
from flows import replay as replaying
from flows import topics as making
from flows.ending import STOPPED
from flows.plan import EVENT_TIME, Part, Plan
from flows.ranges import BEGINNING, NOW
from flows.settings import Run
from flows.telemetry import log
from operators import playbook, yamlfile
from operators.playbook import BadPlaybook, Playbook
from operators.rehearsal import Report
from schemas import topics
from schemas.mendable import Mendable

OLD, NEW = "old", "new"


class BadRehearsal(Mendable, ValueError):
    """What was asked cannot be rehearsed, or one of the runs did not come to its end."""


@dataclass
class Asked:
    """The options of `oncue rehearse`. `state`: where the state of the runs lies while they run; None: among
    the temporary files."""

    new: Path
    old: Path
    brokers: str
    begin: str = BEGINNING
    end: str = NOW
    workers: int = 1
    state: Path | None = None
    keep: bool = False
    examples: int = 5


def rehearse(asked: Asked) -> Report:
    """Raises BadPlaybook, BadRange, BadRehearsal, KafkaTrouble, StateError."""
    texts = {OLD: asked.old.read_text(), NEW: asked.new.read_text()}
    books = _load(asked, texts)
    parts = _parts(asked, books)
    learnt = (topics.learning(books[OLD].scope, "models"), 0)
    scoring = any(book.foretold for book in books.values())
    models = kafka.end(asked.brokers, learnt) if scoring else 0
    name = f"{books[OLD].scope}.rehearsal-{secrets.token_hex(4)}"
    folder = Path(tempfile.mkdtemp(prefix="oncue-rehearsal-", dir=asked.state))
    runs: dict[str, Run] = {}
    with _orderly():
        try:
            for side, file in ((OLD, asked.old), (NEW, asked.new)):
                book = books[side]
                plan = Plan(
                    asked={"from": asked.begin, "to": asked.end, "rehearsal": side},
                    playbook=book.hash,
                    space=f"{name}-{side}",
                    output=planning.DECIDED,
                    parts=parts[side],
                    models=models if book.foretold else 0,
                )
                run = runs[side] = replaying.make(texts[side], book, asked.brokers, folder / side, plan)
                _work(run, file, asked.workers)
            people, compared, dead = outcomes.compare(runs[OLD], runs[NEW], asked.examples)
        except (SystemExit, KeyboardInterrupt):
            log.say("stopped: nothing was compared")
            raise
        finally:
            if asked.keep:
                _tell(runs, folder)
            else:
                _remove(runs, folder, asked.brokers)
    return Report(
        scope=books[OLD].scope,
        old=str(asked.old),
        new=str(asked.new),
        begin=asked.begin,
        end=asked.end,
        events=sum(part.end - part.start for part in parts[NEW]),
        settings=_settings(texts),
        people=people,
        dead_letters=dead,
        compared=compared,
    )


def _load(asked: Asked, texts: dict[str, str]) -> dict[str, Playbook]:
    """Both, or the mistakes of both."""
    books, wrong = {}, []
    for side, file in ((OLD, asked.old), (NEW, asked.new)):
        try:
            books[side] = playbook.load(texts[side], str(file))
        except BadPlaybook as bad:
            wrong.append(str(bad))
    if wrong:
        raise BadRehearsal("\n".join(wrong))
    scopes = books[OLD].scope, books[NEW].scope
    if scopes[0] != scopes[1]:
        raise BadRehearsal(
            f"{asked.old} is about the scope {scopes[0]}, {asked.new} about {scopes[1]}: a rehearsal "
            "compares two playbooks of one scope. Give both the same `scope`"
        )
    return books


def _parts(asked: Asked, books: dict[str, Playbook]) -> dict[str, list[Part]]:
    """The range of both: what they both read ends at the same records, whatever comes in meanwhile."""
    begin, end = ranges.parse("--from", asked.begin), ranges.parse("--to", asked.end)
    found = {
        side: ranges.resolve(book, asked.brokers, EVENT_TIME, begin, end)[0] for side, book in books.items()
    }
    fixed = {(part.topic, part.partition): part for part in found[OLD]}
    found[NEW] = [fixed.get((part.topic, part.partition), part) for part in found[NEW]]
    for side, parts in found.items():
        if not any(part.end > part.start for part in parts):
            inputs = ", ".join(books[side].inputs)
            raise BadRehearsal(
                f"there is nothing to rehearse: from {asked.begin} to {asked.end} there are no records in "
                f"{inputs}"
            )
    return found


def _settings(texts: dict[str, str]) -> list[str]:
    """Sections beside the triggers that are not the same."""
    old, new = (yamlfile.load(texts[side]) for side in (OLD, NEW))
    return sorted(
        name for name in old.keys() | new.keys() if old.get(name) != new.get(name) and name != "triggers"
    )


def _work(run: Run, file: Path, workers: int) -> None:
    """In processes of their own, which the supervisor starts again after whatever happens to them."""
    assert run.plan is not None
    making.make(making.written(run.space, run.playbook.engine.partitions, run.outputs), run.brokers)
    start.prepare(run)
    planning.write(run.directory.root, run.plan)
    log.say(f"{file}: {run.plan.events:,} records")
    with supervise.signals_kept():
        code = supervise.supervise(run, str(file), workers)
    if run.stop.is_set():
        raise SystemExit(STOPPED)
    if code:
        raise BadRehearsal(
            f"the run of {file} ended before its end (exit code {code}); what it said is above"
        )


@contextmanager
def _orderly() -> Iterator[None]:
    """SIGTERM ends it like Ctrl-C: what was made is removed."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(STOPPED)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(runs: dict[str, Run], folder: Path) -> None:
    for side, run in runs.items():
        print(f"oncue: kept: topics {run.space}.*, state {folder / side}", file=sys.stderr)


def _remove(runs: dict[str, Run], folder: Path, brokers: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    names = [
        topic.topic
        for run in runs.values()
        for topic in making.written(run.space, run.playbook.engine.partitions, run.outputs)
    ]
    left = making.remove(names, brokers) if names else {}
    if left:
        name, why = next(iter(left.items()))
        log.say(f"{len(left)} topics could not be removed, {name} and others: {why}")
