"""The command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import (
    askcmd,
    learncmd,
    letterscmd,
    pastcmd,
    rehearsecmd,
    replaycmd,
    runcmd,
    statecmd,
    topicscmd,
)
from flows import broker as embedded
from flows.archive import BadArchive
from flows.copies import BadCopying
from flows.deadletters import BadTransform
from flows.ending import INTERRUPTED, TROUBLE
from flows.export import BadExport
from flows.fixed import BadModel
from flows.kafka import Away, KafkaTrouble
from flows.peers import BadPeers
from flows.ranges import BadRange
from flows.rehearse import BadRehearsal
from flows.telemetry import log
from flows.telemetry.settings import BadTelemetry
from operators.playbook import BadPlaybook
from state.errors import StateError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they may hold secrets
    help="Real-time customer data engine.",
)
for commands in (
    runcmd, askcmd, topicscmd, letterscmd, statecmd, pastcmd, rehearsecmd, replaycmd, learncmd,
):  # fmt: skip
    commands.register(app)


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
