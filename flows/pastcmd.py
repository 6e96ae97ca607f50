"""Commands that look into the past. They need no Kafka."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from flows import export as exporting
from flows.export import BadExport
from flows.lookup import scope_of
from flows.options import Json, Scope
from flows.past import Remembered, Row
from flows.progress import Progress

AT_ONCE = 5_000  # rows


def register(app: typer.Typer) -> None:
    app.command()(export)


def export(
    state: Annotated[Path, typer.Option("--state", help="State directory; workers may be running.")],
    at: Annotated[str, typer.Option(help="Moments: 2026-03-01, or from/to/every; several with commas.")],
    out: Annotated[Path, typer.Option(help="FILE.jsonl, FILE.csv or FILE.parquet.")],
    features: Annotated[str | None, typer.Option(help="Names with commas; all when left out.")] = None,
    scope: Scope = None,
    as_json: Json = False,
) -> None:
    """Write every customer's features as they were at the moments asked for, from history."""
    moments = exporting.times(at)
    count = 0
    with Remembered(scope_of(state, scope)) as past:
        names = exporting.features(past.playbook, features)
        for moment in moments:
            past.check(moment)
        with (
            exporting.writer(out, past.playbook, names) as write,
            Progress("customers", past.count()) as progress,
        ):
            waiting: list[Row] = []
            for rows in past.rows(moments, names):
                progress.advance()
                waiting += rows
                count += len(rows)
                if len(waiting) >= AT_ONCE:
                    write(waiting)
                    waiting = []
            write(waiting)
    print(json.dumps({"rows": count, "out": str(out)}) if as_json else f"{count} rows in {out}")


def moment(text: str) -> int:
    """The one moment (ms) that is meant. Raises BadExport."""
    found = exporting.times(text)
    if len(found) != 1:
        raise BadExport(f"--at {text!r}: one moment only")
    return found[0]
