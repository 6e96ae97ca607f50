"""What commands found, for people at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.balance import Balance
from flows.deadletters import Group
from operators.counts import NAMES
from operators.operations import LEDGER_EVERY
from schemas import durations, moments
from schemas.currency import digits

TIMELINE = 40  # entries shown
PREVIEW = 200  # characters of an original


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
    for kind in ("sources", "reference", "identifiers", "measures", "features"):
        table.add_row(kind, str(len(found[kind])), escape(", ".join(found[kind])))
    table.add_row("triggers", str(len(found["triggers"])))
    console.print(table)
    for name, waits_for in found["triggers"].items():
        console.print(f"  [bold]{escape(name)}[/]: {escape(waits_for)}")


def customer(found: dict[str, Any]) -> None:
    """What `lookup.customer` gave, with its timeline."""
    console = Console(highlight=False)
    now = found["as_of"]
    console.print(f"[bold]{found['customer']}[/]  scope {found['scope']}, as of {moments.say(now)}")
    console.print(f"found by {escape(found['found_by'])}", style="dim")
    console.print(
        f"first seen {moments.say(found['first_seen'])}, last seen {moments.say(found['last_seen'])}"
    )
    reachable = [kind if works else f"{kind} (failed)" for kind, works in found["reachable"].items()]
    console.print(f"reachable by {', '.join(reachable) or 'nothing that is known'}")
    if found["waiting_for_move"]:
        console.print("[yellow]a merge is under way: features and open carts are not complete yet[/]")
    if found["retired"]:
        console.print(f"was also {', '.join(found['retired'])}")
    _table(
        console, ("identifier", "since", "seen together with", "in"),
        [(it["key"], moments.say(it["since"]), it["with"], it["event"]) for it in found["identifiers"]],
    )  # fmt: skip
    hidden = found["backfilling"]
    _table(
        console, ("feature", "value"),
        [
            (name, "being filled from history" if name in hidden else _value(found, name, value))
            for name, value in found["features"].items()
        ],
    )  # fmt: skip
    _table(
        console, ("score", "value"),
        [(name, _value(found, name, value)) for name, value in found["scores"].items() if value is not None],
    )  # fmt: skip
    if found.get("scores_note"):
        console.print(found["scores_note"], style="dim")
    _table(
        console, ("consent", "", "since"),
        [
            (name, "yes" if it["granted"] else "no", moments.say(it["at"]))
            for name, it in found["consents"].items()
        ],
    )  # fmt: skip
    _table(
        console, ("open", "key", "since", "due", "in it"),
        [
            (it["rule"], it["key"], moments.say(it["since"]), _ahead(it["due"], now), _basket(found, it))
            for it in found["open"]
        ],
    )  # fmt: skip
    _table(
        console, ("trigger", "last sent", "not again"),
        [
            (it["rule"], moments.say(it["sent"]), _ahead(it["until"], now) if it["until"] > now else "")
            for it in found["cooldowns"]
        ],
    )  # fmt: skip
    _table(
        console, ("when", "what", ""),
        [(moments.say(it["at"]), it["what"], it["detail"]) for it in found["timeline"][:TIMELINE]],
    )  # fmt: skip
    if len(found["timeline"]) > TIMELINE:
        console.print(f"and {len(found['timeline']) - TIMELINE} before; --json shows all", style="dim")


def rows(columns: tuple[str, ...], found: Sequence[tuple[str, ...]]) -> None:
    _table(Console(highlight=False), columns, found)


def _table(console: Console, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    if not rows:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    console.print()
    console.print(table)


def _value(found: dict[str, Any], name: str, value: Any) -> str:
    unit = found["units"].get(name)
    if value is None:
        return "-"
    if unit == "duration":
        return durations.say(value)
    if unit == "money":
        return _money(found, value)
    if unit == "moment":
        return moments.say(value)
    if isinstance(value, list):
        return "; ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _money(found: dict[str, Any], minor: float) -> str:
    places = digits(found["currency"])
    return f"{minor / 10**places:,.{places}f} {found['currency']}"


def _basket(found: dict[str, Any], open_: dict[str, Any]) -> str:
    return "" if open_["items"] is None else f"{open_['items']} items, {_money(found, open_['value'])}"


def _ahead(ms: int, now: int) -> str:
    return f"{moments.say(ms)} (in {durations.say(ms - now)})" if ms >= now else moments.say(ms)


def ledger(result: Balance) -> None:
    if result.balanced is None:
        print(f"no report yet: there is one every {LEDGER_EVERY} cuts, and at the end of the input")
        return
    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("topic")
    for column in ("in", *NAMES[1:]):
        table.add_column(column.replace("_", "-"), justify="right")
    for topic, row in sorted(result.totals.items()):
        table.add_row(topic, *(f"{row[column]:,}" for column in ("in", *NAMES[1:])))
    if result.totals:
        console.print(table)
    console.print(f"cut {result.cut}: " + ("balanced" if result.balanced else "[red]NOT BALANCED[/]"))


def letters(groups: list[Group], newest: list[dict[str, Any]]) -> None:
    """What `deadletters.find` gave."""
    console = Console(highlight=False)
    if not groups:
        console.print("no dead letters")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("topic", "stage", "reason", "open", "sent again", "newest"):
        table.add_column(column, justify="right" if column in ("open", "sent again") else "left")
    for group in groups:
        counts = f"{group.open:,}", f"{group.replayed:,}"
        table.add_row(group.topic, group.stage, escape(group.reason), *counts, moments.say(group.newest))
    console.print(table)
    for letter in newest:
        again = ", sent again" if letter["replayed"] else ""
        console.print(f"\n[bold]{letter['place']}[/]  {moments.say(letter['at'])}  {letter['stage']}{again}")
        console.print(f"  [red]{escape(letter['reason'])}[/]: {escape(letter['detail'])}")
        original = letter.get("original_text")
        said = f"base64 {letter['original']}" if original is None else " ".join(original.split())
        console.print("  " + escape(said if len(said) <= PREVIEW else said[:PREVIEW] + "..."), soft_wrap=True)
