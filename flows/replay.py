"""A replay: the same topology over a range that ends, with state and topics of its own.

`begin` works out what is to be done and keeps it in the state directory, or takes up what was begun there;
`work` does it. Both are what `oncue replay` calls, and whatever else needs a bounded run.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from flows import archive, deadletters, fixed, kafka, ranges, selection, start, supervise
from flows import compare as comparing
from flows import plan as planning
from flows import topics as making
from flows.bar import Bar
from flows.bounded import Bounded
from flows.plan import EVENT_TIME, Part, Plan
from flows.settings import Run
from flows.telemetry import log
from flows.telemetry.settings import Settings
from operators import playbook
from operators.playbook import Playbook
from schemas import topics
from state.directory import Directory
from state.errors import StateError

SHADOW, NONE, LIVE = "shadow", "none", "live"


@dataclass
class Asked:
    """A replay as it is asked for; the fields are the options of `oncue replay`. Raises BadTransform."""

    config: Path
    brokers: str
    state: Path
    begin: str = ranges.BEGINNING
    end: str = ranges.NOW
    order: str = EVENT_TIME
    output: str = SHADOW
    archives: tuple[str, ...] = ()
    transform: Path | None = None
    customers: Path | None = None
    publish: str = ""
    models: tuple[str, ...] = ()
    telemetry: Settings = field(default_factory=Settings)
    said: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.said = {"from": self.begin, "to": self.end, "order": self.order, "output": self.output}
        if self.archives:
            self.said["archive"] = " ".join(self.archives)
        if self.transform is not None:
            deadletters.load_transform(self.transform)
        for option, file in (("transform", self.transform), ("customers", self.customers)):
            if file is not None:
                self.said[option] = selection.fingerprint(file)

    def words(self, book: Playbook) -> dict[str, str]:
        """What is asked for, as it is kept to be compared with. Raises BadModel."""
        chosen = fixed.versions(self.models, book)
        named = {"model": " ".join(f"{it}={chosen[it]}" for it in sorted(chosen))} if chosen else {}
        return self.said | named


def begin(asked: Asked, compared: bool = False) -> Run:
    """The run of a new replay, or of the one that was begun in this state directory with the same settings.
    `compared`: it is to be compared with the live run at its end.

    Raises BadModel, BadPlaybook, BadRange, KafkaTrouble, StateError.
    """
    text = asked.config.read_text()
    book = playbook.load(text, str(asked.config))
    log.use(asked.telemetry.log_format, **{"oncue.scope": book.scope})
    root = Directory(asked.state, book.scope).root
    found = planning.read(root)
    if found is None:
        if (root / "resolve").exists():
            raise StateError(
                f"{root} holds the state of a live run, which a replay would end. Give the replay a "
                "directory of its own with --state"
            )
        chosen = models(asked, book)
        found = plan(asked, book)
        fixed.write(root, chosen)
        (root / selection.KEYS).unlink(missing_ok=True)  # of one that was never begun
    else:
        planning.check_same(root, found, asked.words(book), book.hash)
    if compared:
        comparing.check(found)
    run = make(text, book, asked.brokers, asked.state, found, asked.telemetry)
    if asked.customers is not None and not (root / selection.KEYS).exists():
        keys = selection.choose(book, asked.brokers, found, selection.read_lines(asked.customers))
        root.mkdir(parents=True, exist_ok=True)
        (root / selection.KEYS).write_text("\n".join(keys))
    run = ready(run)
    log.say(
        f"replaying at most {found.events:,} records of {book.scope} with state in {root}; the names of its "
        f"topics begin with {run.space}."
    )
    return run


def ready(run: Run) -> Run:
    """Make its topics, check and lock its state directory, and keep its plan there."""
    assert run.plan is not None
    own = [code for code in run.outputs if run.plan.space_of(run.scope, code) == run.space]
    making.make(making.written(run.space, run.playbook.engine.partitions, own), run.brokers)
    start.prepare(run)
    planning.write(run.directory.root, run.plan)
    return run


def models(asked: Asked, book: Playbook) -> dict[str, bytes]:
    """By subject the model that scores, where one was asked for. Raises BadModel, KafkaTrouble."""
    topic = topics.learning(book.scope, "models")
    return fixed.models(asked.models, book, lambda: fixed.on_topic(topic, asked.brokers), topic)


def plan(asked: Asked, book: Playbook) -> Plan:
    """What would be done. Raises BadModel, BadRange, KafkaTrouble."""
    begin, end = ranges.parse("--from", asked.begin), ranges.parse("--to", asked.end)
    if asked.archives:
        if asked.order == planning.LIVE or begin != end:
            raise ranges.BadRange("files of --archive are replayed whole and in event-time order")
        parts, cuts = archive.parts(book, asked.archives), None
    else:
        parts, cuts, found = ranges.resolve(book, asked.brokers, asked.order, begin, end)
        if asked.order == EVENT_TIME and begin == ranges.Bound():
            _tell_trimmed(book, parts)
        if found is not None and found.made_by - {book.hash}:
            log.say("the live run had another playbook for some of these cuts; decisions will be this one's")
    if not any(part.end > part.start for part in parts):
        raise ranges.BadRange(
            f"from {asked.begin} to {asked.end} {', '.join(book.inputs)} hold no records. Times are those "
            "when the broker got the records"
        )
    taught = 0
    if book.foretold:
        taught = kafka.end(asked.brokers, (topics.learning(book.scope, "models"), 0))
    named = asked.output not in (SHADOW, NONE, LIVE)
    if asked.output == LIVE and asked.publish != book.scope:
        raise ranges.BadRange(
            f"--output live writes triggers, decisions and identities to the topics that consumers of "
            f"{book.scope} read. To say so a second time add --publish {book.scope}"
        )
    if asked.publish and asked.output != LIVE:
        raise ranges.BadRange(
            f"--publish {asked.publish} is the second word for --output live: without that nothing is "
            "published. Give both, or none"
        )
    if named and any(it.startswith(f"{asked.output}.") for it in (*book.inputs, topics.order(book.scope))):
        raise ranges.BadRange(f"--output {asked.output}: topics of the live run begin so; choose another")
    return Plan(
        asked=asked.words(book),
        playbook=book.hash,
        space=asked.output if named else f"{book.scope}.replay-{secrets.token_hex(4)}",
        output=asked.output,
        order=msgspec.convert(asked.order, planning.Order),
        parts=parts,
        cuts=cuts,
        models=taught,
        transform=str(asked.transform or ""),
        chosen=asked.customers is not None,
        published=asked.output == LIVE,
        fixed=fixed.versions(asked.models, book),
    )


def _tell_trimmed(book: Playbook, parts: list[Part]) -> None:
    """Say what the topics do not hold any more, because whoever begins at the beginning wants all of it."""
    channels = book.topics.values()
    late = [f"{it.topic}/{it.partition} at {it.start}" for it in parts if it.start and it.topic in channels]
    if late:
        log.say(
            f"retention has removed what was before offset: {', '.join(late)}. Features, identities and open "
            "carts of before are not known to this replay; with --archive files it reads those",
            "WARN",
        )


def take_up(run: Run, rate: int) -> Run:
    """In a worker: the run of the plan that its state directory holds, else the live one as it is."""
    found = planning.read(run.directory.root)
    if found is None:
        return run
    made = make(run.text, run.playbook, run.brokers, run.state, found, run.telemetry)
    made.rate, made.progress = rate, Bar(found.events)
    return made


def make(
    text: str, book: Playbook, brokers: str, state: Path, found: Plan, telemetry: Settings | None = None
) -> Run:
    return Run(book, text, brokers, state, telemetry=telemetry or Settings(), plan=found, sequencer=Bounded)


def work(run: Run, config: Path, workers: int = 1, rate: int = 0) -> int:
    """Do it, to the end or until SIGTERM comes; the exit code, as of `oncue run`."""
    assert run.plan is not None
    run.rate = rate
    if workers > 1:
        return supervise.supervise(run, str(config), workers)
    from flows import worker  # as late as this, see flows/start.py

    bar = Bar(run.plan.events)
    run.progress = bar
    try:
        return worker.work(run)
    finally:
        bar.close()
