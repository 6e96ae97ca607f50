"""Windowed aggregates of a measure, exact under merges and late events.

A measure's values are kept in panes, fixed intervals of event time; windows whose panes have the same
width share them. A value goes to the pane of its own time, so the order of arrival does not matter and
two customers' panes merge by adding them up. The new edge of a window is exact, the old edge lies on a
pane boundary (a sawtooth window): the error is at most one pane, 1/24 of the window or less.

A pane is a small map from component to accumulator; a component that no feature needs is not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from schemas.playbook import Aggregate

Pane = dict[str, Any]
Panes = dict[int, dict[int, Pane]]  # pane width in ms (0: lifetime) -> pane index -> pane

WIDTHS = [604_800_000, 86_400_000, 21_600_000, 3_600_000, 900_000, 300_000, 60_000, 15_000, 1_000]

_NEEDS: dict[str, tuple[str, ...]] = {
    "count": ("n",),
    "sum": ("s",),
    "mean": ("n", "s"),
    "min": ("lo",),
    "max": ("hi",),
    "first": ("f",),
    "last": ("l",),
    "time_since": ("l",),
    "distinct": ("d",),
}


class Feature(NamedTuple):
    """What to compute. `window` in ms, 0 for lifetime; `scale` divides a sum kept in millionths."""

    name: str
    measure: str
    aggregate: Aggregate
    window: int
    scale: int = 1


class Tier(NamedTuple):
    """Panes of one width: how many to keep and what each accumulates."""

    width: int
    keep: int
    components: tuple[str, ...]


def pane_width(window: int) -> int:
    """The widest pane that still divides a window into 24 or more; 0 for lifetime.

    >>> pane_width(1_800_000), pane_width(86_400_000), pane_width(0)
    (60000, 3600000, 0)
    """
    if not window:
        return 0
    return next((width for width in WIDTHS if window >= 24 * width), WIDTHS[-1])


def tiers(features: Sequence[Feature]) -> tuple[Tier, ...]:
    """The panes that these features of one measure need between them."""
    widths: dict[int, tuple[int, set[str]]] = {}
    for feature in features:
        width = pane_width(feature.window)
        keep, components = widths.get(width, (1, set()))
        if width:
            keep = max(keep, feature.window // width + 3)
        widths[width] = keep, components | set(_NEEDS[feature.aggregate])
    return tuple(Tier(w, keep, tuple(sorted(parts))) for w, (keep, parts) in sorted(widths.items()))


def add(panes: Panes, plan: Sequence[Tier], at: int, value: Any) -> None:
    """Count `value`, which happened at `at` (ms); None where the measure has no values."""
    for width, keep, components in plan:
        tier = panes.get(width)
        if tier is None:
            tier = panes[width] = {}
        index = at // width if width else 0
        pane = tier.get(index)
        if pane is None:
            pane = tier[index] = {}
            if len(tier) > keep:
                _forget(tier, keep)
        for component in components:
            if component == "n":
                pane["n"] = pane.get("n", 0) + 1
            elif component == "s":
                pane["s"] = pane.get("s", 0) + value
            elif component == "d":
                seen = pane.get("d")
                if seen is None:
                    pane["d"] = {value: 1}
                else:
                    seen[value] = 1
            else:
                old = pane.get(component)
                new = [at, value] if component in "fl" else value
                pane[component] = new if old is None else _PICK[component](old, new)


def merge(panes: Panes, other: Panes, plan: Sequence[Tier]) -> None:
    """Add all of `other`, as if its values had been counted here from the start."""
    keeps = {tier.width: tier.keep for tier in plan}
    for width, theirs in other.items():
        mine = panes.setdefault(width, {})
        for index, pane in theirs.items():
            here = mine.get(index)
            if here is None:
                mine[index] = pane
                continue
            for component, value in pane.items():
                old = here.get(component)
                if old is None:
                    here[component] = value
                elif component in ("n", "s"):
                    here[component] = old + value
                elif component == "d":
                    old.update(value)
                else:
                    here[component] = _PICK[component](old, value)
        if width:
            _forget(mine, keeps.get(width, len(mine)))


def value(panes: Panes, feature: Feature, now: int) -> Any:
    """The feature at `now` (ms). Counts and sums of nothing are 0, everything else is None."""
    width = pane_width(feature.window)
    tier = panes.get(width, {})
    oldest = (now - feature.window) // width if width else -1
    found = [pane for index, pane in tier.items() if index > oldest]
    aggregate = feature.aggregate
    if aggregate == "count":
        return sum(pane.get("n", 0) for pane in found)
    if aggregate == "sum":
        return _scaled(sum(pane.get("s", 0) for pane in found), feature.scale)
    if aggregate == "mean":
        count = sum(pane.get("n", 0) for pane in found)
        return sum(pane.get("s", 0) for pane in found) / count / feature.scale if count else None
    if aggregate == "distinct":
        return len({value for pane in found for value in pane.get("d", ())})
    component = _NEEDS[aggregate][0]
    values = [pane[component] for pane in found if component in pane]
    if not values:
        return None
    best = _PICK[component](*values) if len(values) > 1 else values[0]
    if aggregate == "time_since":
        return max(0, now - best[0])
    return _scaled(best[1] if component in "fl" else best, feature.scale)


_PICK: dict[str, Any] = {"lo": min, "hi": max, "f": min, "l": max}


def _scaled(number: Any, scale: int) -> Any:
    return number if scale == 1 or not isinstance(number, int) else number / scale


def _forget(tier: dict[int, Pane], keep: int) -> None:
    """Drop what no window of this tier can reach any more, counted from the newest pane, so that
    the result does not depend on the order in which panes came."""
    if not tier:
        return
    oldest = max(tier) - keep
    for index in [index for index in tier if index <= oldest]:
        del tier[index]
