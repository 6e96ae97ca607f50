"""A rehearsal at a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from operators import rehearsalwords as words
from operators.rehearsal import KINDS, Report, add

DAYS = 14  # with differences that are shown


def show(report: Report) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{escape(report.new)}[/] against [bold]{escape(report.old)}[/]")
    console.print(escape(words.span(report)), style="dim")
    for line in words.summary(report):
        console.print(escape(line))
    rules = report.compared.rules
    _table(
        console,
        ("trigger", "", *words.COLUMNS),
        [
            (name, row.written, *words.cells(row.triggers))
            for name, row in rules.items()
            if row.written != "engine"
        ],
        2,
    )
    days = [(day, add(rows.values())) for day, rows in report.compared.days.items()]
    differing = [(day, row) for day, row in days if row.moved or row.appeared or row.disappeared]
    _table(
        console,
        ("day (UTC)", *words.COLUMNS),
        [(day, *words.cells(row)) for day, row in differing[-DAYS:]],
        1,
    )
    if len(differing) > DAYS:
        console.print(f"and {len(differing) - DAYS} days before; --json and --html have all", style="dim")
    held = [
        (name, reason, f"{old:,}", f"{new:,}")
        for name, row in rules.items()
        for reason, (old, new) in row.held.items()
        if old != new
    ]
    _table(console, ("held back", "reason", "old", "new"), held, 2)
    _table(
        console,
        ("held back for another reason", "old", "new", "how often"),
        [(it.rule, it.old, it.new, f"{it.count:,}") for it in report.compared.reasons],
        3,
    )
    _table(
        console,
        ("dead letters", "old", "new"),
        [(name, f"{old:,}", f"{new:,}") for name, (old, new) in report.dead_letters.items() if old != new],
        1,
    )
    if report.people.examples:
        console.print("\n[bold]customers[/]")
        for group in report.people.examples:
            console.print(f"  {group.what}: {escape(words.grouping(group))}")
    for kind in KINDS:
        changes = [it for it in report.compared.changes if it.what == kind]
        if changes:
            console.print(f"\n[bold]{words.TITLES[kind]}[/], examples")
            for one in changes:
                console.print(f"  {escape(words.change(one))}")


def _table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> None:
    """The first `texts` columns are words, the others numbers."""
    if not rows:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < texts else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    console.print()
    console.print(table)
