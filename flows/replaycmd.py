"""`oncue replay`: the command line of `flows/replay.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows import replay as replaying
from flows.plan import EVENT_TIME, LIVE
from flows.ranges import BEGINNING, FORMS, NOW
from flows.replay import SHADOW, Asked


def register(app: typer.Typer) -> None:
    app.command()(replay)


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
    rate: Annotated[int, typer.Option(min=0, help="Events a second at most; 0: as fast as it goes.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
) -> None:
    """Work a range of the input off again, with state and topics of its own. The same command continues
    after any stop."""
    if order not in (EVENT_TIME, LIVE):
        raise typer.BadParameter(f"--order is {EVENT_TIME} or {LIVE}")
    run = replaying.begin(Asked(config, brokers, state, begin, end, order, output))
    raise typer.Exit(replaying.work(run, config, workers, rate))
