"""The command line."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO, NoReturn

import msgspec
import typer

from flows import (
    again,
    balance,
    checking,
    deadletters,
    learncmd,
    lookup,
    pastcmd,
    rehearsecmd,
    replaycmd,
    show,
    statecmd,
    tail,
    timeline,
    worker,
)
from flows import broker as embedded
from flows import copies as copying
from flows import produce as producing
from flows import topics as making
from flows.archive import BadArchive
from flows.copies import BadCopying
from flows.deadletters import BadTransform
from flows.ending import INTERRUPTED, TROUBLE
from flows.export import BadExport
from flows.fixed import BadModel
from flows.kafka import Away, KafkaTrouble
from flows.past import Remembered
from flows.peers import BadPeers
from flows.peers import parse as parse_peers
from flows.playbooks import retail
from flows.progress import Progress
from flows.ranges import BadRange
from flows.rehearse import BadRehearsal
from flows.supervise import supervise
from flows.telemetry import log
from flows.telemetry.options import LogFormat, ReadyWithin, StuckAfter, TelemetryHost, TelemetryPort
from flows.telemetry.settings import BadTelemetry, settings
from operators import playbook
from operators.playbook import BadPlaybook, Playbook
from schemas import durations
from schemas import topics as names
from state.errors import StateError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they may hold secrets
    help="Real-time customer data engine.",
)
topics = typer.Typer(no_args_is_help=True, help="The topics of a scope.")
app.add_typer(topics, name="topics")
statecmd.register(app)
letters = typer.Typer(no_args_is_help=True, help="What could not be used: see it, send it again.")
app.add_typer(letters, name="dead-letters")
learncmd.register(app)
replaycmd.register(app)
rehearsecmd.register(app)
pastcmd.register(app)

Brokers = Annotated[str, typer.Option("--brokers", help="Kafka bootstrap address, HOST:PORT.")]
Config = Annotated[Path, typer.Option("--config", help="The playbook (YAML).")]
Json = Annotated[bool, typer.Option("--json", help="Plain JSON.")]
State = Annotated[Path, typer.Option("--state", help="State directory.")]


@app.command()
def run(
    config: Config,
    brokers: Brokers,
    state: State,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    on_gap: Annotated[str, typer.Option(help="Trimmed input: stop, earliest or latest.")] = "stop",
    peers: Annotated[
        str | None,
        typer.Option(help="All processes of a cluster on several machines: HOST:PORT,HOST:PORT..."),
    ] = None,
    peer: Annotated[
        int | None,
        typer.Option(help="Which of --peers this is, from 0; else the one with this machine's name."),
    ] = None,
    backup: Annotated[
        str | None,
        typer.Option(
            envvar="ONCUE_BACKUP", help="Copy the state there while running: a folder, any URL of fsspec."
        ),
    ] = None,
    backup_every: Annotated[str, typer.Option(help="How often, such as 5m.")] = "5m",
    backup_keep: Annotated[
        int | None, typer.Option(min=1, help="Delete all but so many backups there.")
    ] = None,
    telemetry_port: TelemetryPort = None,
    telemetry_host: TelemetryHost = "127.0.0.1",
    ready_within: ReadyWithin = 30.0,
    stuck_after: StuckAfter = 60.0,
    log_format: LogFormat = "text",
) -> None:
    """Run a scope until its input ends or SIGTERM comes. The same command continues after any stop."""
    if on_gap not in ("stop", "earliest", "latest"):
        raise typer.BadParameter("--on-gap is stop, earliest or latest")
    if peers is not None and workers != 1:
        raise typer.BadParameter("--workers are on this machine, --peers on several: choose one of the two")
    cluster = parse_peers(peers, peer) if peers is not None else None
    telemetry = settings(telemetry_port, telemetry_host, ready_within, stuck_after, log_format)
    it = worker.open_run(
        config, brokers, state, on_gap, telemetry, copying.copying(backup, backup_every, backup_keep)
    )
    worker.prepare(it, cluster.number if cluster else None)
    restarts = again.restarts_so_far()

    def anew() -> NoReturn:
        again.become_anew(it, restarts)

    alone = workers == 1 and cluster is None
    code = worker.work(it, anew=anew) if alone else supervise(it, str(config), workers, cluster)
    if code == worker.AGAIN:
        log.say("an input topic has new partitions; starting again")
        anew()
    if code == INTERRUPTED:
        code = again.after_interruption(it, restarts, code)
    raise typer.Exit(code)


@app.command()
def demo(
    speed: Annotated[float, typer.Option(help="How many times faster than it happened.")] = 400,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write counts and triggers here.")] = None,
) -> None:
    """Watch real shoppers' behaviour turn into triggers, on an embedded broker."""
    from flows.demo import play

    raise typer.Exit(play.play(speed, json_file))


@app.command()
def broker() -> None:
    """Host the embedded broker, for trying out: it keeps nothing. Prints its address; Ctrl-C ends it."""
    embedded.serve()


@app.command()
def check(files: Annotated[list[Path], typer.Argument(metavar="FILE...")], as_json: Json = False) -> None:
    """List every mistake of playbooks, each with its line, its path and the nearest valid name."""
    found = [checking.check(file) for file in files]
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        for one in found:
            show.playbook(one)
    raise typer.Exit(TROUBLE if any(one["mistakes"] for one in found) else 0)


@app.command()
def produce(
    file: Path,
    brokers: Brokers,
    topic: Annotated[str, typer.Option(help="Where to.")],
    speed: Annotated[float, typer.Option(help="Times faster than the timestamps; 0: at once.")] = 0,
    as_json: Json = False,
) -> None:
    """Send a file of JSON lines to a topic."""
    producing.check(brokers, topic)
    with file.open("rb") as lines, Progress(f"bytes to {topic}", file.stat().st_size) as progress:
        count = producing.produce(brokers, ((topic, line) for line in _lines(lines, progress)), speed)
    print(json.dumps({"topic": topic, "records": count}) if as_json else f"{count} records to {topic}")


@app.command("tail")
def tail_command(
    topic: str,
    brokers: Brokers,
    new: Annotated[bool, typer.Option("--new", help="Only what comes from now on.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Stop at the end of the topic.")] = False,
) -> None:
    """Print a topic's committed records, one JSON object a line."""
    for record in tail.follow(brokers, [topic], begin=not new, until_end=once):
        if record:
            print(json.dumps(record), flush=True)


@app.command()
def finish(config: Config, brokers: Brokers, as_json: Json = False) -> None:
    """Say that the input ends here: the run works off what is there, then ends by itself."""
    ends = making.finish(_load(config), brokers)
    print(json.dumps(ends, indent=2) if as_json else f"input ends after {sum(ends.values())} records")


@app.command()
def customer(
    key: Annotated[str, typer.Argument(help="Any identifier, such as an e-mail, or a customer id.")],
    state: State,
    scope: Annotated[str | None, typer.Option(help="Which scope, where there are several.")] = None,
    brokers: Annotated[
        str | None, typer.Option(help="Kafka, HOST:PORT: the timeline then has triggers and decisions.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="As it was then, such as 2026-03-01T12:00Z; needs history.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[SUBJECT=]VERSION",
            help="With --at: score by this model, not by those of their time. Repeatable: one per subject.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Who this is and what is known, from the newest checkpoint; workers may be running."""
    root = lookup.scope_of(state, scope)
    if at is None:
        if model:
            raise typer.BadParameter("--model needs --at")
        found = lookup.customer(root, key)
    else:
        with Remembered(root) as past:
            past.check(when := pastcmd.moment(at))
            found = past.customer(key, when, model or ())
    if found is None:
        looked = ", ".join(lookup.names_of(key, lookup.playbook_of(root)))
        print(
            f"oncue: nobody {'has' if at is None else 'had'} the identifier {key!r} "
            f"{'in the newest checkpoint' if at is None else f'as of {at}'}; looked for {looked}",
            file=sys.stderr,
        )
        raise typer.Exit(1)
    found["timeline"] = timeline.timeline(found, lookup.playbook_of(root), brokers if at is None else None)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        show.customer(found)


@app.command()
def ledger(config: Config, brokers: Brokers, as_json: Json = False) -> None:
    """Check that the newest ledger balances: what came in was accepted, repeated or dead-lettered."""
    result = balance.balance(_load(config), brokers)
    if as_json:
        print(json.dumps(result._asdict(), indent=2))
    else:
        show.ledger(result)
    raise typer.Exit(0 if result.balanced else 1)


Reason = Annotated[str, typer.Option(help="Only of this reason.")]
Stage = Annotated[str, typer.Option(help="Only of this stage.")]
Topic = Annotated[str, typer.Option(help="Only from this topic.")]
Since = Annotated[str, typer.Option(help="Only newer: 2h (ago), or a time such as 2026-03-02T10:00:00Z.")]
Places = Annotated[
    list[str] | None, typer.Option("--place", help="Only this one: topic/partition/offset. Repeatable.")
]


@letters.command("list")
def list_letters(
    config: Config,
    brokers: Brokers,
    reason: Reason = "",
    stage: Stage = "",
    topic: Topic = "",
    since: Since = "",
    place: Places = None,
    limit: Annotated[int, typer.Option(min=0, help="How many to show, the newest first.")] = 20,
    all_: Annotated[bool, typer.Option("--all", help="Show those that were sent again, too.")] = False,
    as_json: Json = False,
) -> None:
    """Dead letters by reason, and the newest of them with place, detail and original."""
    which = deadletters.Which(reason, stage, topic, tuple(place or ()), _since(since))
    groups, newest = deadletters.find(_load(config), brokers, which, limit, all_)
    if as_json:
        print(json.dumps({"groups": msgspec.to_builtins(groups), "letters": newest}, indent=2))
    else:
        show.letters(groups, newest)


@letters.command("replay")
def replay_letters(
    config: Config,
    brokers: Brokers,
    reason: Reason = "",
    stage: Stage = "",
    topic: Topic = "",
    since: Since = "",
    place: Places = None,
    transform: Annotated[
        Path | None, typer.Option(help="A Python file with transform(original, letter) -> bytes | None.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Send dead letters to their topics again, as they were or transformed; each of them once."""
    book = _load(config)
    which = deadletters.Which(reason, stage, topic, tuple(place or ()), _since(since))
    mend = deadletters.load_transform(transform) if transform else None
    groups = [it for it in deadletters.find(book, brokers, which, 0)[0] if it.topic and it.open]
    count = sum(group.open for group in groups)
    result = {"to_send": count, "sent": 0, "left_out": 0}
    if not as_json:
        show.letters(groups, [])
    if count and not dry_run:
        if not yes:
            typer.confirm(f"Send {count} dead letters to their topics again?", abort=True, err=True)
        result["sent"], result["left_out"] = deadletters.replay(book, brokers, which, mend)
    if as_json:
        print(json.dumps(result, indent=2))
    elif dry_run or not count:
        print(f"{count} would be sent again")
    else:
        print(f"{result['sent']} sent again, {result['left_out']} left out")


@topics.command("create")
def create(
    brokers: Brokers,
    config: Annotated[Path | None, typer.Option("--config", help="The playbook (YAML).")] = None,
    partitions: Annotated[int, typer.Option(help="Partitions of each source's topic.")] = 4,
    replication: Annotated[int, typer.Option(help="Copies of each; -1: the broker's default.")] = -1,
    as_json: Json = False,
) -> None:
    """Make the scope's topics that are missing, with the settings they need."""
    book = _load(config)
    made, differing = making.create(book, brokers, partitions, replication), making.differing(book, brokers)
    if as_json:
        print(json.dumps({"made": made, "differing": differing}, indent=2))
        return
    for line in differing:
        print(f"oncue: {line} (kafka-configs.sh --alter changes it)", file=sys.stderr)
    print("\n".join(made) if made else "all topics are there")


@topics.command("list")
def list_topics(
    config: Annotated[Path | None, typer.Option("--config", help="The playbook (YAML).")] = None,
    as_json: Json = False,
) -> None:
    """Every topic of a scope, what it is keyed by and what oncue does with it."""
    book = _load(config)
    rows = [(topic, "in", "sender's choice", f"source {source}") for source, topic in book.topics.items()]
    rows += [
        (book.reference[it.name], "in", it.keyed_by, "reference data")
        for it in names.REFERENCE
        if it.name in book.reference
    ]
    rows += [(names.output(book.scope, code), "out", it.keyed_by, "") for code, it in book.outputs.items()]
    if book.foretold:
        rows += [(names.learning(book.scope, it.name), "learning", it.keyed_by, "") for it in names.LEARNING]
    rows.append((names.order(book.scope), "internal", "-", ""))
    columns = ("topic", "use", "keyed_by", "about")
    if as_json:
        print(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=2))
    else:
        show.rows(columns, rows)


def _lines(file: BinaryIO, progress: Progress) -> Iterator[bytes]:
    for line in file:
        progress.advance(len(line))
        if line.strip():
            yield line.strip()


def _since(text: str) -> int:
    """Milliseconds of a moment: a duration ago, or an ISO time, which is UTC unless it says otherwise."""
    if not text:
        return 0
    with suppress(ValueError):
        return round(time.time() * 1000) - durations.parse(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--since {text!r}: write 2h, or 2026-03-02T10:00:00Z") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _load(file: Path | None) -> Playbook:
    return (
        playbook.load(retail(), "retail.yaml") if file is None else playbook.load(file.read_text(), str(file))
    )


def main() -> None:
    """Entry point: errors that a person can mend are one message and exit code 2, not a traceback."""
    try:
        app()
    except (
        BadArchive,
        BadCopying,
        BadExport,
        BadModel,
        BadPeers,
        BadPlaybook,
        BadRange,
        BadRehearsal,
        BadTelemetry,
        BadTransform,
        KafkaTrouble,
        StateError,
    ) as error:
        log.say(error, "ERROR")
        sys.exit(INTERRUPTED if isinstance(error, Away) else TROUBLE)
    except OSError as error:
        log.say(f"{error.filename or ''}: {error.strerror or error}", "ERROR")
        sys.exit(TROUBLE)


if __name__ == "__main__":
    main()
