"""`oncue replay`: the command line of `flows/replay.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from flows import compare as comparing
from flows import handover
from flows import replay as replaying
from flows.plan import EVENT_TIME, LIVE
from flows.ranges import BEGINNING, FORMS, NOW
from flows.replay import SHADOW, Asked


def register(app: typer.Typer) -> None:
    app.command()(replay)
    app.command()(promote)


def replay(
    config: Annotated[Path, typer.Option("--config", help="The playbook (YAML).")],
    brokers: Annotated[str, typer.Option("--brokers", help="Kafka bootstrap address, HOST:PORT.")],
    state: Annotated[Path, typer.Option("--state", help="A directory of its own for this replay.")],
    begin: Annotated[str, typer.Option("--from", help=f"{BEGINNING}, or {FORMS}.")] = BEGINNING,
    end: Annotated[str, typer.Option("--to", help=f"{NOW}, or the same forms; not included.")] = NOW,
    order: Annotated[
        str, typer.Option(help=f"{EVENT_TIME}, or {LIVE}: repeat the cuts of the live run.")
    ] = EVENT_TIME,
    output: Annotated[
        str, typer.Option(help="shadow: to topics of its own; none; or what their names begin with.")
    ] = SHADOW,
    archives: Annotated[
        list[str] | None,
        typer.Option(
            "--archive",
            metavar="SOURCE[/PARTITION]=FILE",
            help="Read JSON lines or Parquet instead. Repeatable.",
        ),
    ] = None,
    rate: Annotated[int, typer.Option(min=0, help="Events a second at most; 0: as fast as it goes.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="At the end list what the live run decided differently, and why."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The comparison as plain JSON.")] = False,
) -> None:
    """Work a range of the input off again, with state and topics of its own. The same command continues
    after any stop."""
    if order not in (EVENT_TIME, LIVE):
        raise typer.BadParameter(f"--order is {EVENT_TIME} or {LIVE}")
    run = replaying.begin(Asked(config, brokers, state, begin, end, order, output, tuple(archives or ())))
    code = replaying.work(run, config, workers, rate)
    if code or not compare or run.stop.is_set():
        raise typer.Exit(code)
    assert run.plan is not None
    report = comparing.compare(run.playbook, brokers, run.plan)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        print("\n".join(comparing.text(report)))
    raise typer.Exit(1 if report.unexplained else 0)


def promote(
    brokers: Annotated[str, typer.Option("--brokers", help="Kafka bootstrap address, HOST:PORT.")],
    live: Annotated[Path, typer.Option("--live", help="The state directory of the live run.")],
    new: Annotated[Path | None, typer.Argument(metavar="NEWDIR", help="That of a replay.")] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Bring the state from before the last one back.")
    ] = False,
) -> None:
    """Let the live run go on with the state of a replay. Keeps up with the live run until that is stopped."""
    if undo == (new is not None):
        raise typer.BadParameter("give NEWDIR, or --undo")
    print(handover.undo(live, brokers) if new is None else handover.promote(new, live, brokers))
