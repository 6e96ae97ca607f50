"""A rehearsal as a page: one HTML file, no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from operators import rehearsalwords as words
from operators.rehearsal import KINDS, Counts, Report, add

WIDTH, HEIGHT, EDGE = 1100, 220, 46  # of the chart, in units of its view box
WIDEST = 28  # of a day's bars
LABELS = 8  # days that are named
APART = 14  # of two numbers beside the axis


def page(report: Report) -> str:
    days = [(day, add(rows.values())) for day, rows in report.compared.days.items()]
    return _PAGE.format(
        style=_STYLE,
        title=escape(f"{report.scope}: {report.new} against {report.old}"),
        lead=escape(f"{words.span(report)}, in the order of event time."),
        summary="".join(f"<p>{escape(line)}</p>" for line in words.summary(report)),
        tiles="".join(_tile(*one) for one in _tiles(report)),
        chart=_chart(days) if days else "<p>No triggers in either run.</p>",
        days=_table(("day", *words.COLUMNS), [(day, *words.cells(row)) for day, row in days], 1),
        rules=_rules(report),
        held=_held(report),
        people=_people(report),
        examples=_examples(report),
    )


def _tiles(report: Report) -> list[tuple[str, str, str]]:
    total, people = report.total, report.people
    regrouped = people.merged + people.split + people.regrouped
    return [
        ("triggers", f"{total.new:,}", f"{total.old:,} before"),
        ("appeared", f"{total.appeared:,}", "only with the new playbook"),
        ("disappeared", f"{total.disappeared:,}", "only with the old one"),
        ("moved", f"{total.moved:,}", "the same, at another time"),
        ("customers regrouped", f"{regrouped:,}", f"{people.merged:,} merged, {people.split:,} split"),
    ]


def _tile(name: str, value: str, about: str) -> str:
    return f'<div class="tile"><dt>{name}</dt><dd>{value}</dd><dd class="about">{escape(about)}</dd></div>'


def _chart(days: Sequence[tuple[str, Counts]]) -> str:
    """Per day, upwards what appeared and downwards what disappeared. The table below says it in numbers."""
    up = max(row.appeared for _, row in days)
    down = max(row.disappeared for _, row in days)
    scale = (HEIGHT - 40) / (up + down or 1)
    zero = 10 + up * scale
    step = (WIDTH - EDGE) / len(days)
    bar = min(WIDEST, step * 0.8)
    every = -(-len(days) // LABELS)
    drawn = []
    for index, (day, row) in enumerate(days):
        x = EDGE + index * step + (step - bar) / 2
        for count, kind, top in (
            (row.appeared, "appeared", zero - row.appeared * scale),
            (row.disappeared, "disappeared", zero),
        ):
            if count:
                drawn.append(
                    f'<rect class="{kind}" x="{x:.1f}" y="{top:.1f}" width="{bar:.1f}" '
                    f'height="{count * scale:.1f}"><title>{day}: {count:,} {kind}</title></rect>'
                )
        if index % every == 0:
            drawn.append(
                f'<text x="{x + bar / 2:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{day[5:]}</text>'
            )
    axis = "".join(
        f'<text x="{EDGE - 8}" y="{y:.1f}" text-anchor="end">{text}</text>'
        for y, text in ((16, f"+{up:,}"), (zero + 4, "0"), (HEIGHT - 26, f"-{down:,}"))
        if text == "0" or abs(y - zero - 4) > APART
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="chart-name chart-about">'
        '<title id="chart-name">Triggers that appeared and disappeared, by day</title>'
        f'<desc id="chart-about">{len(days)} days from {days[0][0]} to {days[-1][0]}; at most {up:,} '
        f"appeared and {down:,} disappeared in a day. All numbers are in the table below.</desc>"
        f'<line class="axis" x1="{EDGE}" x2="{WIDTH}" y1="{zero:.1f}" y2="{zero:.1f}"/>{axis}{"".join(drawn)}'
        '</svg><ul class="legend"><li class="appeared"><span></span>appeared (up)</li>'
        '<li class="disappeared"><span></span>disappeared (down)</li></ul>'
    )


def _rules(report: Report) -> str:
    rows = [
        (name, row.written, *words.cells(row.triggers), *(f"{count:,}" for count in row.cancelled))
        for name, row in report.compared.rules.items()
        if row.written != "engine"
    ]
    return _table(("trigger", "playbook", *words.COLUMNS, "cancelled, old", "cancelled, new"), rows, 2)


def _held(report: Report) -> str:
    rows = [
        (name, reason, f"{old:,}", f"{new:,}", f"{new - old:+,}" if new != old else "0")
        for name, row in report.compared.rules.items()
        for reason, (old, new) in sorted(row.held.items())
    ]
    found = _table(("trigger", "reason", "old", "new", "difference"), rows, 2)
    if report.compared.reasons:
        found += "<h3>For another reason than before</h3>" + _table(
            ("trigger", "was", "is now", "how often"),
            [(it.rule, it.old, it.new, f"{it.count:,}") for it in report.compared.reasons],
            3,
        )
    letters = [(name, f"{old:,}", f"{new:,}") for name, (old, new) in report.dead_letters.items()]
    if letters:
        found += "<h3>Dead letters</h3>" + _table(("stage and reason", "old", "new"), letters, 1)
    return found


def _people(report: Report) -> str:
    it = report.people
    found = _table(
        ("", "old", "new"),
        [
            ("customers", f"{it.old:,}", f"{it.new:,}"),
            ("known to one run only", f"{it.gone:,}", f"{it.appeared:,}"),
        ],
        1,
    )
    if it.examples:
        found += "<h3>Examples, the largest first</h3>" + _list(
            f"<strong>{one.what}</strong> {escape(words.grouping(one))}" for one in it.examples
        )
    return found


def _examples(report: Report) -> str:
    found = ""
    for kind in KINDS:
        changes = [one for one in report.compared.changes if one.what == kind]
        if changes:
            listed = _list(escape(words.change(one)) for one in changes)
            found += f"<section><h2>Examples: {words.TITLES[kind]}</h2>{listed}</section>"
    return found


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> str:
    """The first `texts` columns are words, the others numbers; the first names its row."""
    if not rows:
        return "<p>None.</p>"
    kinds = [' class="text"' if index < texts else "" for index in range(len(head))]
    top = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(head, kinds, strict=True)
    )
    body = "".join(
        f'<tr><th scope="row" class="text">{escape(first)}</th>'
        + "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(rest, kinds[1:], strict=True))
        + "</tr>"
        for first, *rest in rows
    )
    return (
        '<div class="wide" tabindex="0" role="group" aria-label="table">'
        f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


_STYLE = """
:root { color-scheme: light dark; --paper: #fbfbf9; --card: #fff; --ink: #1c2024; --soft: #5c656e;
  --rule: #dfe3e6; --more: #0059b3; --less: #b34700; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --card: #1c2126; --ink: #e8ebee;
  --soft: #a3adb6; --rule: #343b42; --more: #6cb2ff; --less: #ffa366; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, -apple-system,
  "Segoe UI", Roboto, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 2rem 1.25rem 4rem; display: grid; gap: 1rem;
  grid-template-columns: minmax(0, 1fr); }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0 0 .75rem; }
h3 { font-size: .95rem; margin: 1.25rem 0 .5rem; }
.lead, .about, .note { color: var(--soft); }
.lead { margin: 0; }
.summary p { max-width: 80ch; margin: .25rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 1rem; margin: 0; }
.tile, section { background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: 1rem 1.2rem; }
.tile dt { color: var(--soft); font-size: .85rem; }
.tile dd { margin: 0; font-size: 1.9rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.tile dd.about { font-size: .8rem; font-weight: 400; }
.note { margin: .5rem 0 0; font-size: .85rem; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--soft); font-size: 12px; }
.axis { stroke: var(--soft); }
rect.appeared { fill: var(--more); }
rect.disappeared { fill: var(--less); }
.legend { display: flex; gap: 1.25rem; list-style: none; padding: 0; margin: .5rem 0 1rem;
  font-size: .85rem; }
.legend span { display: inline-block; width: 14px; height: 10px; margin-right: .4rem; }
.legend .appeared span { background: var(--more); }
.legend .disappeared span { background: var(--less); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--rule); text-align: right; }
.text { text-align: left; }
tbody th { font-weight: 500; }
ul:not(.legend) { padding-left: 1.2rem; margin: 0; font-size: .9rem; overflow-wrap: anywhere; }
@media print { body { background: #fff; } .tile, section { break-inside: avoid; } }
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head><body><main>
<h1>{title}</h1><p class="lead">{lead}</p>
<div class="summary">{summary}</div>
<dl class="tiles">{tiles}</dl>
<section><h2>By rule</h2>{rules}</section>
<section><h2>By day (UTC)</h2>{chart}{days}
<p class="note">A trigger at another time counts on the day on which it went out before.</p></section>
<section><h2>Customers</h2>{people}</section>
<section><h2>Held back</h2>{held}</section>
{examples}
</main></body></html>
"""
