"""`oncue run`."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from flows import again, start
from flows import copies as copying
from flows.ending import AGAIN, INTERRUPTED
from flows.options import Brokers, Config, State, Workers
from flows.peers import parse as parse_peers
from flows.supervise import supervise
from flows.telemetry import log
from flows.telemetry.options import LogFormat, ReadyWithin, StuckAfter, TelemetryHost, TelemetryPort
from flows.telemetry.settings import settings


def register(app: typer.Typer) -> None:
    app.command()(run)


def run(
    config: Config,
    brokers: Brokers,
    state: State,
    workers: Workers = 1,
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
        int | None, typer.Option(min=1, metavar="N", help="Delete all but so many backups there.")
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
    it = start.open_run(
        config, brokers, state, on_gap, telemetry, copying.copying(backup, backup_every, backup_keep)
    )
    start.prepare(it, cluster.number if cluster else None)
    restarts = again.restarts_so_far()

    def anew() -> NoReturn:
        again.become_anew(it, restarts)

    if workers == 1 and cluster is None:
        from flows import worker  # as late as this, see flows/start.py

        code = worker.work(it, anew=anew)
    else:
        code = supervise(it, str(config), workers, cluster)
    if code == AGAIN:
        log.say("an input topic has new partitions; starting again")
        anew()
    if code == INTERRUPTED:
        code = again.after_interruption(it, restarts, code)
    raise typer.Exit(code)
