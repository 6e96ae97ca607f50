"""What features make of panes: per aggregate which components it needs, and what it says of them."""

from __future__ import annotations

from typing import Any

from operators import distinct
from operators.panes import added, least, most, total
from schemas import playbook


class Aggregate:
    """`needs`: its components. `nothing`: what it says where there is no pane."""

    def __init__(self, needs: tuple[str, ...], nothing: int | None = None) -> None:
        self.needs = needs
        self.nothing = nothing

    def says(self, panes: list[Any], scale: int, now: int) -> Any:
        """What it says of one or more panes at `now` (ms). `scale` divides numbers kept in millionths."""
        raise NotImplementedError


class Count(Aggregate):
    def says(self, panes: list[Any], scale: int, now: int) -> Any:
        return total(panes)


class Sum(Aggregate):
    def says(self, panes: list[Any], scale: int, now: int) -> Any:
        return _scaled(total(panes), scale)


class Mean(Aggregate):
    def says(self, panes: list[Any], scale: int, now: int) -> Any:
        # Not as int: compiled, these are divided as floats, and not exactly beyond 2**53.
        number: Any = total([pane[0] for pane in panes])
        summed: Any = total([pane[1] for pane in panes])
        return summed / number / scale


class Min(Aggregate):
    def says(self, panes: list[Any], scale: int, now: int) -> Any:
        return _scaled(least(panes), scale)


class Max(Aggregate):
    def says(self, panes: list[Any], scale: int, now: int) -> Any:
        return _scaled(most(panes), scale)


class First(Aggregate):
    def says(self, panes: list[Any], scale: int, now: int) -> Any:
        return _scaled(least(panes)[1], scale)


class Last(Aggregate):
    def says(self, panes: list[Any], scale: int, now: int) -> Any:
        return _scaled(most(panes)[1], scale)


class TimeSince(Aggregate):
    def says(self, panes: list[Any], scale: int, now: int) -> Any:
        return max(0, now - most(panes))


class TimeSinceFirst(Aggregate):
    def says(self, panes: list[Any], scale: int, now: int) -> Any:
        return max(0, now - least(panes))


class Distinct(Aggregate):
    def says(self, panes: list[Any], scale: int, now: int) -> Any:
        return distinct.count(panes)


class Top(Aggregate):
    """Of values that came as often the least, as texts and numbers are ordered."""

    def says(self, panes: list[Any], scale: int, now: int) -> Any:
        counts: dict[Any, int] = panes[0] if len(panes) == 1 else added(panes)
        found: Any = None
        often = 0
        for value, count in counts.items():
            if count > often or (count == often and value < found):
                found, often = value, count
        return _scaled(found, scale)


class Open(Aggregate):
    """The panes are one of what was opened and, where there is one, one of what was closed."""

    def says(self, panes: list[Any], scale: int, now: int) -> Any:
        closed: dict[str, int] = panes[1] if len(panes) > 1 else {}
        return sum([at > closed.get(key, at - 1) for key, at in panes[0].items()])


AGGREGATES: dict[playbook.Aggregate, Aggregate] = {
    "count": Count(("count",), 0),
    "sum": Sum(("sum",), 0),
    "mean": Mean(("mean",)),
    "min": Min(("min",)),
    "max": Max(("max",)),
    "first": First(("first",)),
    "last": Last(("last",)),
    "time_since": TimeSince(("latest",)),
    "time_since_first": TimeSinceFirst(("earliest",)),
    "distinct": Distinct(("distinct",), 0),
    "top": Top(("top",)),
    "open": Open(("opened", "closed"), 0),
}


def _scaled(number: Any, scale: int) -> Any:
    return number if scale == 1 else number / scale
