"""`oncue rehearse`: the command line of `flows/rehearse.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from flows import rehearse as rehearsing
from flows.options import Brokers, Workers
from flows.ranges import BEGINNING, FORMS, NOW
from flows.rehearse import Asked, BadRehearsal
from operators import rehearsalpage


def register(app: typer.Typer) -> None:
    app.command()(rehearse)


def rehearse(
    new: Annotated[Path, typer.Argument(metavar="NEW.yaml", help="The playbook that is to go live.")],
    against: Annotated[Path, typer.Option("--against", metavar="OLD.yaml", help="The one that is live.")],
    brokers: Brokers,
    begin: Annotated[str, typer.Option("--from", help=f"{BEGINNING}, or {FORMS}.")] = BEGINNING,
    end: Annotated[str, typer.Option("--to", help=f"{NOW}, or the same forms; not included.")] = NOW,
    json: Annotated[Path | None, typer.Option("--json", help="Write all figures and examples here.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write them here as a page to look at.")] = None,
    examples: Annotated[int, typer.Option(min=0, metavar="N", help="How many of each rule and kind.")] = 5,
    workers: Workers = 1,
    state: Annotated[
        Path | None, typer.Option("--state", help="Where to keep state meanwhile; else temporary files.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave topics and state there afterwards.")] = False,
) -> None:
    """What would have been different with another playbook: customers, triggers, what was held back. Nothing
    is written to live topics."""
    files = [file for file in (json, html) if file is not None]
    wrong = [f"{file}: there is no folder {file.parent}" for file in files if not file.parent.is_dir()]
    if state is not None and not state.is_dir():
        wrong.append(f"--state {state}: there is no such folder")
    if wrong:
        raise BadRehearsal("\n".join(wrong))
    report = rehearsing.rehearse(Asked(new, against, brokers, begin, end, workers, state, keep, examples))
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    if html is not None:
        html.write_text(rehearsalpage.page(report))
    from flows import rehearsalshow  # it imports Rich, which takes .1 s

    rehearsalshow.show(report)
