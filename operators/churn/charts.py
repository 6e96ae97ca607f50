"""Charts as inline SVG: colours come from the page's style, so they follow light and dark. Each has a name
and a description for those who cannot see it; the numbers are in a table beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 14, 40


class Line(NamedTuple):
    """`points`: (x, y) in units of the axes. `style`: a class of the page's style."""

    name: str
    style: str
    points: Sequence[tuple[float, float]]


class Scale(NamedTuple):
    """From a value to a place on the paper."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low or 1.0
        return round(self.start + (value - self.low) / span * (self.end - self.start), 1)


def over_time(
    lines: Sequence[Line], marks: Sequence[tuple[float, str]], ticks: Sequence[tuple[float, str]],
    name: str, about: str,
) -> str:  # fmt: skip
    """Lines over time with a dashed mark where something happened. `ticks`: of the time axis."""
    xs = [x for line in lines for x, _ in line.points] or [0.0, 1.0]
    ys = [y for line in lines for _, y in line.points] or [0.5, 1.0]
    across = Scale(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    up = Scale(min(0.5, *ys) if len(ys) > 1 else 0.5, min(1.0, max(ys) + 0.03), HEIGHT - BOTTOM, TOP)
    parts = [_grid(up, "{:.2f}")]
    for place, (x, label) in enumerate(ticks):
        anchor = "start" if not place else "end" if place == len(ticks) - 1 else "middle"
        parts.append(_text(across(x), HEIGHT - BOTTOM + 18, label, anchor))
    for x, what in marks:
        at = across(x)
        parts.append(
            f'<g class="mark"><line x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            f'<path d="M{at} {TOP}l-5 -9h10z"/><title>{escape(what)}</title></g>'
        )
    for line in lines:
        path = " ".join(f"{across(x)},{up(y)}" for x, y in line.points)
        parts.append(
            f'<g class="line {line.style}"><polyline points="{path}"/><title>{escape(line.name)}</title></g>'
        )
    return _svg(parts, name, about)


def calibration(bins: Sequence[tuple[int, float, float]], name: str, about: str) -> str:
    """Points of (labels, said, happened) against the diagonal; the more labels, the larger."""
    across, up = Scale(0, 1, LEFT, WIDTH - RIGHT), Scale(0, 1, HEIGHT - BOTTOM, TOP)
    there = [one for one in bins if one[0]]
    most = max((n for n, _, _ in there), default=1)
    parts = [_grid(up, "{:.0%}")]
    parts += [
        _text(across(x / 5), HEIGHT - BOTTOM + 18, f"{x / 5:.0%}", "middle" if x < 5 else "end")
        for x in range(6)
    ]
    parts.append(f'<line class="ideal" x1="{across(0)}" y1="{up(0)}" x2="{across(1)}" y2="{up(1)}"/>')
    path = " ".join(f"{across(said)},{up(rate)}" for _, said, rate in there)
    parts.append(f'<g class="line champion"><polyline points="{path}"/></g>')
    for n, said, rate in there:
        parts.append(
            f'<circle class="dot" cx="{across(said)}" cy="{up(rate)}" r="{3 + 7 * (n / most) ** 0.5:.1f}">'
            f"<title>said {said:.0%}, happened {rate:.0%}, {n} labels</title></circle>"
        )
    return _svg(parts, name, about)


def columns(values: Sequence[tuple[str, float]], even: float, name: str, about: str) -> str:
    """A column for each value, and a dashed line at `even`."""
    up = Scale(0, max([even, *(value for _, value in values)]) * 1.1, HEIGHT - BOTTOM, TOP)
    step = (WIDTH - LEFT - RIGHT) / max(1, len(values))
    parts = [_grid(up, "{:.2f}")]
    for place, (label, value) in enumerate(values):
        x = round(LEFT + place * step + step * 0.15, 1)
        parts.append(
            f'<rect class="bar" x="{x}" y="{up(value)}" width="{step * 0.7:.1f}" rx="2" '
            f'height="{up(0) - up(value):.1f}"><title>{escape(label)}: {value:.2f}</title></rect>'
        )
        parts.append(_text(x + step * 0.35, HEIGHT - BOTTOM + 18, label, "middle"))
    parts.append(f'<line class="ideal" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(even)}" y2="{up(even)}"/>')
    return _svg(parts, name, about)


def both_ways(values: Sequence[tuple[str, float]], name: str, about: str) -> str:
    """A bar for each value, to the right where it is positive, to the left where it is negative."""
    row, names, number = 24, 270, 45  # pixels for a row, for what a row is about, and for its value
    most = max((abs(value) for _, value in values), default=1.0) or 1.0
    half = (WIDTH - names) // 2
    middle, long = names + half, Scale(0, most, 0, half - number)
    parts = []
    for place, (label, value) in enumerate(values):
        y, length = 8 + place * row, long(abs(value))
        x = middle if value >= 0 else middle - length
        style = "raises" if value >= 0 else "lowers"
        parts.append(
            f'<rect class="{style}" x="{x}" y="{y}" width="{length}" height="{row - 8}" rx="2">'
            f"<title>{escape(label)}: {value:+.3f}</title></rect>"
        )
        parts.append(_text(0, y + 13, label, "start"))
        end = middle + length + 5 if value >= 0 else middle - length - 5
        parts.append(_text(end, y + 13, f"{value:+.2f}", "start" if value >= 0 else "end"))
    height = 16 + row * len(values)
    parts.append(f'<line class="axis" x1="{middle}" x2="{middle}" y1="0" y2="{height}"/>')
    return _svg(parts, name, about, height)


def _grid(up: Scale, form: str) -> str:
    parts = []
    for part in range(5):
        value = up.low + (up.high - up.low) * part / 4
        y = up(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(_text(LEFT - 8, y + 4, form.format(value), "end"))
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Sequence[str], name: str, about: str, height: int = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(name)}. {escape(about)}">'
        f"{''.join(parts)}</svg>"
    )
