"""Commands for trying out: the demo, and a broker to play with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(demo)
    app.command()(broker)


def demo(
    speed: Annotated[float, typer.Option(help="How many times faster than it happened.")] = 400,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write counts and triggers here.")] = None,
) -> None:
    """Watch real shoppers' behaviour turn into triggers, on an embedded broker."""
    from flows.demo import play

    raise typer.Exit(play.play(speed, json_file))


def broker() -> None:
    """Host the embedded broker, for trying out: it keeps nothing. Prints its address; Ctrl-C ends it."""
    from flows import broker as embedded

    embedded.serve()
