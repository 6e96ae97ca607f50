"""`oncue replay`: the command line of `flows/replay.py`."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from flows import compare as comparing
from flows import estimate as estimating
from flows import handover, selection, sink
from flows import replay as replaying
from flows.ending import STOPPED
from flows.options import Brokers, Config, Workers, load
from flows.plan import EVENT_TIME, LIVE, PUBLISHED
from flows.ranges import BEGINNING, FORMS, NOW
from flows.replay import SHADOW, Asked
from flows.settings import Run
from flows.telemetry import log
from flows.telemetry.options import LogFormat, ReadyWithin, StuckAfter, TelemetryHost, TelemetryPort
from flows.telemetry.settings import settings
from schemas import topics


def register(app: typer.Typer) -> None:
    app.command()(replay)
    app.command()(promote)


def replay(
    config: Config,
    brokers: Brokers,
    state: Annotated[Path, typer.Option("--state", help="A directory of its own for this replay.")],
    begin: Annotated[str, typer.Option("--from", help=f"{BEGINNING}, or {FORMS}.")] = BEGINNING,
    end: Annotated[str, typer.Option("--to", help=f"{NOW}, or the same forms; not included.")] = NOW,
    order: Annotated[
        str, typer.Option(help=f"{EVENT_TIME}, or {LIVE}: repeat the cuts of the live run.")
    ] = EVENT_TIME,
    output: Annotated[
        str,
        typer.Option(help="shadow: topics of its own; none; PREFIX of theirs; live: what is missing."),
    ] = SHADOW,
    archives: Annotated[
        list[str] | None,
        typer.Option(
            "--archive",
            metavar="SOURCE=FILE",
            help="Read JSON lines or Parquet, not topics; or SOURCE/PARTITION=FILE. Repeatable.",
        ),
    ] = None,
    transform: Annotated[
        Path | None,
        typer.Option(help="Python file: its transform(original, letter) mends dead letters in their place."),
    ] = None,
    customers: Annotated[
        Path | None, typer.Option(help="Only those in this file: an identifier or customer id a line.")
    ] = None,
    publish: Annotated[
        str, typer.Option(metavar="SCOPE", help="Beside --output live: the scope, to say that it is meant.")
    ] = "",
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="SUBJECT=N",
            help="Score by this version, not by the models of their time. Repeatable: one per subject.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only estimate events, time and room.")] = False,
    rate: Annotated[
        int, typer.Option(min=0, metavar="N", help="Events a second at most; 0: as fast as it goes.")
    ] = 0,
    workers: Workers = 1,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="At the end list what the live run decided differently, and why."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="--compare or --dry-run as plain JSON.")] = False,
    telemetry_port: TelemetryPort = None,
    telemetry_host: TelemetryHost = "127.0.0.1",
    ready_within: ReadyWithin = 30.0,
    stuck_after: StuckAfter = 60.0,
    log_format: LogFormat = "text",
) -> None:
    """Work a range of the input off again, with state and topics of its own. Nothing goes to live topics
    unless told twice. The same command continues after any stop."""
    if order not in (EVENT_TIME, LIVE):
        raise typer.BadParameter(f"--order is {EVENT_TIME} or {LIVE}")
    asked = Asked(
        config,
        brokers,
        state,
        begin,
        end,
        order,
        output,
        tuple(archives or ()),
        transform,
        customers,
        publish,
        tuple(models or ()),
        settings(telemetry_port, telemetry_host, ready_within, stuck_after, log_format),
    )
    if dry_run:
        _estimate(asked, as_json)
        return
    run = replaying.begin(asked, compared=compare)
    root = run.directory.root
    code = replaying.work(run, config, workers, rate)
    if run.stop.is_set() and not code:
        log.say(f"stopped; the same command goes on with the replay in {root}")
    elif not code:
        log.say(
            f"the replay has ended; its state is in {root}, the names of its topics begin with {run.space}."
        )
        _tell_published(run)
    if code or not compare or run.stop.is_set():
        raise typer.Exit(code)
    assert run.plan is not None
    report = comparing.compare(run.playbook, brokers, run.plan, selection.chosen(root, run.plan))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        print("\n".join(comparing.text(report)))
    raise typer.Exit(1 if report.unexplained else 0)


def _estimate(asked: Asked, as_json: bool) -> None:
    book = load(asked.config)
    replaying.models(asked, book)
    found = estimating.estimate(book, asked.brokers, replaying.plan(asked, book))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    print(f"events   {found.events:,} at most")
    print(f"time     about {timedelta(seconds=found.seconds)} with one worker while this machine is as busy")
    print(f"reads    {_megabytes(found.input_bytes)} from the input")
    print(f"state    {_megabytes(found.state_bytes)} at most in {asked.state}")
    print(f"writes   {_megabytes(found.output_bytes)} to topics")
    print(f"(from a sample of {found.sampled:,} records; nothing was made)")


def _tell_published(run: Run) -> None:
    """How much went to topics of the live run, if any was to."""
    assert run.plan is not None
    found = sink.brought(run.directory.points)
    for topic in (topics.output(run.scope, code) for code in PUBLISHED if run.plan.published):
        sent, there = found.get(topic, (0, 0))
        log.say(f"{topic}: {sent:,} sent, {there:,} of the range were there already")


def _megabytes(count: int) -> str:
    return f"about {count / 1e6:,.0f} MB"


def promote(
    brokers: Brokers,
    live: Annotated[Path, typer.Option("--live", help="The state directory of the live run.")],
    new: Annotated[
        Path | None, typer.Argument(metavar="NEWDIR", help="The state of a replay that has ended.")
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Bring back the state that the last promote replaced.")
    ] = False,
) -> None:
    """Let the live run go on with the state of a replay. Keeps up with the live run, says when to stop it,
    and ends when the states have changed places."""
    if undo == (new is not None):
        raise typer.BadParameter("give NEWDIR, or --undo")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print(handover.undo(live, brokers) if new is None else handover.promote(new, live, brokers))
    except KeyboardInterrupt:
        log.say("stopped; the same command goes on")
        raise typer.Exit(STOPPED) from None
