"""A page about how well a learning flow foretells, from what it reports: one HTML file, no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from operators.churn import charts
from operators.churn.charts import Line
from schemas.churn import Figures, Metrics

POINTS = 60  # of a line: reports are put together until there are no more
WEIGHTS = 15
HUES = 5  # that the style has for lines


def page(scope: str, subject: str, reports: Sequence[Metrics], words: Mapping[str, tuple[str, str]]) -> str:
    """`reports` in their order, one at least; `words` say what an input is when it is large. The curves are
    of what the champion of the time told, over the last third of the labels: what was before describes
    models that nobody uses any more."""
    newest = reports[-1]
    late = [one for one in reports if one.labels > newest.labels * 2 / 3] or [newest]
    total = newest.total[newest.champion]
    share = total.positive / total.labels if total.labels else 0.0
    curve = _curve(late)
    return _PAGE.format(
        title=escape(f"{scope}: {subject}"),
        style=_STYLE,
        lead=(
            f"Champion <strong>{escape(newest.champion)}</strong>, {newest.labels:,} labels until "
            f"{_day(newest.at)} (event time); {share:.1%} of them positive. Every prediction was judged by "
            "the model of its own time, before its label was known."
        ),
        tiles="".join(_tile(*one) for one in _tiles(total)),
        over_time=_over_time(reports),
        calibration=charts.calibration(
            curve, "Calibration", "What was said against what happened, for ten ranges of the score."
        ),
        calibration_table=_table(
            ("said", "happened", "labels"),
            [(f"{said:.1%}", f"{rate:.1%}", f"{n:,}") for n, said, rate in curve if n],
        ),
        lift=_lift(late),
        weights=_weights(late, words),
        contestants=_contestants(newest),
        segments=_segments(late, newest.champion),
        events=_events(reports),
    )


def _tiles(total: Figures) -> list[tuple[str, str, str]]:
    return [
        ("AUC", _number(total.auc), "1 is perfect, 0.5 is chance"),
        ("calibration error", _number(total.ece), "mean distance of said from happened"),
        ("log loss", _number(total.log_loss), "nats a label"),
        ("lift", _number(total.lift, 2), "of the 10 % with the highest scores"),
    ]


def _tile(name: str, value: str, about: str) -> str:
    return f'<div class="tile"><dt>{name}</dt><dd>{value}</dd><p>{about}</p></div>'


def _over_time(reports: Sequence[Metrics]) -> str:
    champion = reports[-1].champion
    names = sorted(reports[-1].total, key=lambda name: (name == champion, name))  # it is drawn last
    others = [name for name in sorted(names) if name != champion]
    lines = []
    for name in names:
        points = _thinned([(one.at, f) for one in reports if (f := one.figures.get(name, {}).get("all"))])
        style = "champion" if name == champion else f"other hue{others.index(name) % HUES}"
        if points:
            lines.append(Line(name, style, points))
    marks = [
        (float(one.at), f"{_day(one.at)}: the loss of {', '.join(one.drifts)} changed (ADWIN)")
        for one in reports
        if one.drifts
    ]
    drawn = [int(x) for line in lines for x, _ in line.points] or [reports[-1].at]
    first, last = min(drawn), max(drawn)
    moments = [first + (last - first) * part // 4 for part in range(5)] if last > first else [first]
    chart = charts.over_time(
        lines, marks, [(moment, _day(moment)) for moment in moments], "Prequential AUC over time",
        f"One line for each of {', '.join(names)}; {len(marks)} drift marks.",
    )  # fmt: skip
    legend = "".join(
        f'<li class="{line.style}"><span></span>{escape(line.name)}</li>' for line in reversed(lines)
    )
    if marks:
        legend += '<li class="drift"><span></span>drift</li>'
    rows = [(line.name, *(f"{y:.3f}" for _, y in (line.points[0], line.points[-1]))) for line in lines]
    table = _table(("contestant", "first", "newest"), rows)
    return f'{chart}<ul class="legend">{legend}</ul>{table}'


def _thinned(points: Sequence[tuple[int, Figures]]) -> list[tuple[float, float]]:
    """(time, AUC), neighbours put together by their labels."""
    known = [(at, figures.labels, figures.auc) for at, figures in points if figures.auc is not None]
    size = -(-len(known) // POINTS) or 1
    found = []
    for start in range(0, len(known), size):
        part = known[start : start + size]
        labels = sum(n for _, n, _ in part)
        found.append((float(part[-1][0]), sum(n * auc for _, n, auc in part) / labels))
    return found


def _curve(reports: Iterable[Metrics]) -> list[tuple[int, float, float]]:
    found = []
    for bins in zip(*(one.curve for one in reports), strict=True):
        n = sum(part for part, _, _ in bins)
        said = sum(part * mean for part, mean, _ in bins)
        happened = sum(part * rate for part, _, rate in bins)
        found.append((n, said / n if n else 0.0, happened / n if n else 0.0))
    return found


def _lift(reports: Sequence[Metrics]) -> str:
    tenths = [
        (sum(n for n, _ in parts), sum(hit for _, hit in parts))
        for parts in zip(*(one.tenths for one in reports), strict=True)
    ]
    labels, positive = (sum(column) for column in zip(*tenths, strict=True))
    rate = positive / labels if labels else 0.0
    values = [
        (f"{(place + 1) * 10} %", hit / n / rate if n and rate else 0.0)
        for place, (n, hit) in enumerate(tenths)
    ]
    chart = charts.columns(
        values,
        1.0,
        "Lift by tenth",
        "Positive labels of each tenth by score, over the average; highest first.",
    )
    return chart + _table(("tenth", "lift"), [(name, f"{value:.2f}") for name, value in values])


def _weights(reports: Sequence[Metrics], words: Mapping[str, tuple[str, str]]) -> str:
    sums: dict[str, float] = {}
    raised: dict[str, float] = {}
    for one in reports:
        for name, (far, up) in one.weights.items():
            sums[name] = sums.get(name, 0.0) + far
            raised[name] = raised.get(name, 0.0) + far * up
    count = sum(1 for one in reports if one.weights) or 1
    strongest = sorted(sums, key=lambda name: (-sums[name], name))[:WEIGHTS]
    values = [
        (words[name][0] if name in words else name, sums[name] / count * (1 if raised[name] >= 0 else -1))
        for name in strongest
    ]
    chart = charts.both_ways(
        values, "Feature weights", "How far each input moves a score; right: large values raise it."
    )
    return chart + _table(("input", "moves by, log-odds"), [(n, f"{value:+.3f}") for n, value in values])


def _contestants(newest: Metrics) -> str:
    names = sorted(newest.total, key=lambda name: (name != newest.champion, name))
    return _figures("contestant", [(name, newest.total[name]) for name in names])


def _segments(reports: Sequence[Metrics], champion: str) -> str:
    found: dict[str, list[Figures]] = {}
    for one in reports:
        for segment, figures in one.figures.get(champion, {}).items():
            found.setdefault(segment, []).append(figures)
    return _figures("segment", [(name, _together(parts)) for name, parts in sorted(found.items())])


def _together(parts: Sequence[Figures]) -> Figures:
    """Means weighted by labels, of the reports that could tell."""

    def mean(name: str) -> float | None:
        known = [(one.labels, value) for one in parts if (value := getattr(one, name)) is not None]
        labels = sum(n for n, _ in known)
        return sum(n * value for n, value in known) / labels if labels else None

    labels, positive = sum(one.labels for one in parts), sum(one.positive for one in parts)
    return Figures(labels, positive, mean("auc"), mean("log_loss"), mean("ece"), mean("lift"))


def _figures(what: str, rows: Sequence[tuple[str, Figures]]) -> str:
    return _table(
        (what, "labels", "AUC", "log loss", "calibration error", "lift"),
        [
            (name, f"{f.labels:,}", _number(f.auc), _number(f.log_loss), _number(f.ece), _number(f.lift, 2))
            for name, f in rows
        ],
        folded=False,
    )


def _events(reports: Sequence[Metrics]) -> str:
    said = [(one.at, event) for one in reports for event in one.events]
    if not said:
        return "<p>No change of champion.</p>"
    items = "".join(f"<li><time>{_day(at)}</time> {escape(event)}</li>" for at, event in said)
    return f"<ol>{items}</ol>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], folded: bool = True) -> str:
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    table = f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    return f"<details><summary>As a table</summary>{table}</details>" if folded else table


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


_STYLE = """
:root { color-scheme: light dark; --paper: #fbfbf9; --card: #fff; --ink: #1c2024; --soft: #5c656e;
  --rule: #dfe3e6; --main: #0059b3; --warm: #b34700; --alert: #a3195b; --h0: #00785a; --h1: #8a6d00;
  --h2: #7048b0; --h3: #5f6b73; --h4: #0f7c8a; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --card: #1c2126; --ink: #e8ebee; --soft:
  #a3adb6; --rule: #343b42; --main: #6cb2ff; --warm: #ffa366; --alert: #ff8ac0; --h0: #4fd0a8; --h1:
  #e3c04f; --h2: #c0a0f5; --h3: #aab4bc; --h4: #62cfdc; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, -apple-system,
  "Segoe UI", Roboto, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
h2 { font-size: 1.05rem; margin: 0 0 .75rem; }
.lead, .tile p, .note { color: var(--soft); }
.lead { max-width: 70ch; margin: 0 0 1.5rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 1rem; margin:
  0; }
.tile, section { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding:
  1rem 1.2rem; }
.tile dt { color: var(--soft); font-size: .85rem; }
.tile p { margin: 0; font-size: .8rem; }
.tile dd { margin: 0; font-size: 1.9rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.grid2 { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); gap:
  1rem; margin-top: 1rem; }
.note { margin: .5rem 0 0; font-size: .85rem; }
svg { width: 100%; height: auto; display: block; overflow: visible; }
svg text { fill: var(--soft); font-size: 12px; }
.grid { stroke: var(--rule); }
.axis { stroke: var(--soft); }
.ideal { stroke: var(--soft); stroke-dasharray: 5 4; }
.line polyline { fill: none; stroke-width: 1.5; stroke: currentColor; stroke-linejoin: round; }
.champion { color: var(--main); }
.line.champion polyline { stroke-width: 3; }
.hue0 { color: var(--h0); }
.hue1 { color: var(--h1); }
.hue2 { color: var(--h2); }
.hue3 { color: var(--h3); }
.hue4 { color: var(--h4); }
.mark line { stroke: var(--alert); stroke-dasharray: 2 3; }
.mark path { fill: var(--alert); }
.drift { color: var(--alert); }
.dot, .bar, .raises { fill: var(--main); }
.lowers { fill: var(--warm); }
.dot { fill-opacity: .8; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0; margin:
  .5rem 0; font-size: .85rem; }
.legend span { display: inline-block; width: 18px; height: 3px; margin-right: .4rem; vertical-align:
  middle; background: currentColor; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--rule); text-align: right; }
th:first-child { text-align: left; }
tbody th { font-weight: 500; }
summary { cursor: pointer; color: var(--soft); font-size: .85rem; margin-top: .5rem; }
ol { padding-left: 1.2rem; margin: 0; }
time { color: var(--soft); margin-right: .4rem; }
@media print { body { background: #fff; } .tile, section { break-inside: avoid; } }
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head><body><main>
<h1>{title}</h1><p class="lead">{lead}</p>
<dl class="tiles">{tiles}</dl>
<div class="grid2">
<section><h2>Prequential AUC over time</h2>{over_time}</section>
<section><h2>Calibration, last third of the labels</h2>{calibration}
<p class="note">On the dashed line what was said is what happened; the larger a point, the more labels.</p>
{calibration_table}</section>
<section><h2>Lift by tenth, highest scores first</h2>{lift}</section>
<section><h2>Feature weights</h2>
<p class="note">How far an input moves a score from the average, in log-odds; right: by being large.</p>
{weights}</section>
<section><h2>Contestants, all labels</h2>{contestants}</section>
<section><h2>Segments, champion, last third</h2>{segments}</section>
</div>
<section style="margin-top:1rem"><h2>What happened</h2>{events}</section>
</main></body></html>
"""
