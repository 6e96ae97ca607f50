"""What commands found, for people at a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def playbook(found: dict[str, Any]) -> None:
    """What `checking.check` gave."""
    console = Console(highlight=False, soft_wrap=True)
    file = found["file"]
    for kind, colour in (("mistakes", "red"), ("notes", "yellow")):
        word = "" if kind == "mistakes" else "note: "
        for one in found[kind]:
            where = escape(f"{file}:{one['line']}:")
            console.print(f"{where} [{colour}]{escape(one['path'])}[/]: {word}{escape(one['problem'])}")
    if found["mistakes"]:
        return
    console.print(f"[bold]{escape(file)}[/]: good, scope {found['scope']}")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for kind in ("sources", "identifiers", "measures", "features"):
        table.add_row(kind, str(len(found[kind])), escape(", ".join(found[kind])))
    table.add_row("triggers", str(len(found["triggers"])))
    console.print(table)
    for name, waits_for in found["triggers"].items():
        console.print(f"  [bold]{escape(name)}[/]: {escape(waits_for)}")


def customer(found: dict[str, Any]) -> None:
    console = Console()
    console.print(f"[bold]{found['customer']}[/bold]  as of {moment(found['as_of'])}")
    console.print("  " + "\n  ".join(found["identifiers"]), highlight=False)
    table = Table(box=None)
    for column in ("feature", "value"):
        table.add_column(column)
    for name, value in found["features"].items():
        table.add_row(name, str(value))
    console.print(table)
    for name, granted in found["consents"].items():
        console.print(f"consent {name}: {'yes' if granted else 'no'}")
    for absence in found["open"]:
        console.print(f"open: {absence['rule']} {absence['key']}, due {moment(absence['due'])}")


def moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if ms >= 0 else "never"
