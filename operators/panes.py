"""What a pane accumulates: per component how values come into it and how two panes merge.

A *tier* is the panes of one component and one width: pane index (event time // width) -> accumulator.
All components but `top` beyond its bound are exact functions of the set of values: order of arrival and
order of merging make no difference.
"""

from __future__ import annotations

from typing import Any, Final

from operators import distinct
from operators.distinct import EXACT

Tier = dict[int, Any]

LIFETIME: Final = 0  # the width of the one pane of all times
MOST_COUNTED: Final = 64
MOST_KEYS: Final = 256
_MOST: Final = 1 << 62  # sums stop here: state keeps integers in 64 bits
_FAR_FROM_IT: Final = 1 << 61
_FEW: Final = 2_000  # values of less than 10^15 each do not come near it


class Values:
    """Some values of a slot, and their times in ms of event time."""

    __slots__ = ("times", "values")

    def __init__(self, times: list[int], values: list[Any]) -> None:
        self.times = times
        self.values = values


class Waiting(Values):
    """Values that are in no pane yet, the first and the last of their times."""

    __slots__ = ("first", "last")

    def __init__(self, times: list[int], values: list[Any], first: int, last: int) -> None:
        super().__init__(times, values)
        self.first = first
        self.last = last

    def since(self, edge: int) -> Values | None:
        """Those at `edge` (ms) or after it."""
        if self.first >= edge:
            return self
        if self.last < edge:
            return None
        inside = [place for place, at in enumerate(self.times) if at >= edge]
        return Values([self.times[it] for it in inside], [self.values[it] for it in inside])


class Component:
    """A kind of accumulator. `values` are one or more."""

    def fold(self, old: Any, times: list[int], values: list[Any]) -> Any:
        """`old` with values of these times in it; `old`, which may be None, may be changed."""
        raise NotImplementedError

    def join(self, one: Any, other: Any) -> Any:
        """Two panes together."""
        raise NotImplementedError

    def beside(self, times: list[int], values: list[Any]) -> Any:
        """A pane of these values, to be read and not to be kept."""
        return self.fold(None, times, values)

    def fits_beside(self, tier: Tier, values: list[Any]) -> bool:
        """Whether `tier` and a pane `beside` it say the same as if `values` were in its panes."""
        return True


class Count(Component):
    def fold(self, old: Any, times: list[int], values: list[Any]) -> Any:
        return len(values) if old is None else old + len(values)

    def join(self, one: Any, other: Any) -> Any:
        return _plus(one, other)


class Sum(Component):
    def fold(self, old: Any, times: list[int], values: list[Any]) -> Any:
        return _plus(0 if old is None else old, total(values))

    def join(self, one: Any, other: Any) -> Any:
        return _plus(one, other)

    def fits_beside(self, tier: Tier, values: list[Any]) -> bool:
        return len(values) <= _FEW and _far_from_it([*tier.values()])


class Mean(Component):
    """Number and sum: a mean of its own, so that one which a playbook adds later is right at once."""

    def fold(self, old: Any, times: list[int], values: list[Any]) -> Any:
        more = [len(values), total(values)]
        return self.join([0, 0] if old is None else old, more)

    def join(self, one: Any, other: Any) -> Any:
        return [one[0] + other[0], _plus(one[1], other[1])]

    def fits_beside(self, tier: Tier, values: list[Any]) -> bool:
        return len(values) <= _FEW and _far_from_it([pane[1] for pane in tier.values()])


class Min(Component):
    def fold(self, old: Any, times: list[int], values: list[Any]) -> Any:
        found = least(values)
        return found if old is None else min(old, found)

    def join(self, one: Any, other: Any) -> Any:
        return min(one, other)


class Max(Component):
    def fold(self, old: Any, times: list[int], values: list[Any]) -> Any:
        found = most(values)
        return found if old is None else max(old, found)

    def join(self, one: Any, other: Any) -> Any:
        return max(one, other)


class First(Min):
    """The time and the value; of several at once the least value."""

    def fold(self, old: Any, times: list[int], values: list[Any]) -> Any:
        at, value = times[0], values[0]
        for place, other in enumerate(times):
            if other < at or (other == at and values[place] < value):
                at, value = other, values[place]
        found = [at, value]
        return found if old is None else min(old, found)


class Last(Max):
    """The time and the value; of several at once the greatest value."""

    def fold(self, old: Any, times: list[int], values: list[Any]) -> Any:
        at, value = times[0], values[0]
        for place, other in enumerate(times):
            if other > at or (other == at and values[place] > value):
                at, value = other, values[place]
        found = [at, value]
        return found if old is None else max(old, found)


class Earliest(Min):
    def fold(self, old: Any, times: list[int], values: list[Any]) -> Any:
        return super().fold(old, times, times)


class Latest(Max):
    def fold(self, old: Any, times: list[int], values: list[Any]) -> Any:
        return super().fold(old, times, times)


class Distinct(Component):
    def fold(self, old: Any, times: list[int], values: list[Any]) -> Any:
        return distinct.add(old, values)

    def join(self, one: Any, other: Any) -> Any:
        return distinct.union(one, other)

    def beside(self, times: list[int], values: list[Any]) -> Any:
        return {*values}

    def fits_beside(self, tier: Tier, values: list[Any]) -> bool:
        # What is read beside a sketch goes into a copy of it.
        return _room([len(pane) for pane in tier.values() if not isinstance(pane, bytes)], values, EXACT)


class Top(Component):
    """How often each value came: at most MOST_COUNTED counts, each too low by at most n / (MOST_COUNTED + 1)
    where n is the number of values in the pane: J. Misra and D. Gries (1982), merged after P. Agarwal et
    al., "Mergeable summaries" (2012). Exact while a pane has no more different values than that."""

    def fold(self, old: Any, times: list[int], values: list[Any]) -> Any:
        counts: dict[Any, int] = {} if old is None else old
        for value in values:
            counts[value] = counts.get(value, 0) + 1
            if len(counts) > MOST_COUNTED:
                counts = _frequent(counts)
        return counts

    def join(self, one: Any, other: Any) -> Any:
        return _frequent(added([one, other]))

    def fits_beside(self, tier: Tier, values: list[Any]) -> bool:
        return _room([len(pane) for pane in tier.values()], values, MOST_COUNTED)


class Keys(Component):
    """When each key last came, of the MOST_KEYS that came last."""

    def fold(self, old: Any, times: list[int], values: list[Any]) -> Any:
        latest: dict[str, int] = {} if old is None else old
        for place, at in enumerate(times):
            key: str = values[place]
            if at > latest.get(key, at - 1):
                latest[key] = at
        return _newest(latest)

    def join(self, one: Any, other: Any) -> Any:
        return _newest(one | {key: max(at, one.get(key, at)) for key, at in other.items()})

    def fits_beside(self, tier: Tier, values: list[Any]) -> bool:
        return False


COMPONENTS: dict[str, Component] = {
    "count": Count(),
    "sum": Sum(),
    "mean": Mean(),
    "min": Min(),
    "max": Max(),
    "first": First(),
    "last": Last(),
    "earliest": Earliest(),
    "latest": Latest(),
    "distinct": Distinct(),
    "top": Top(),
    "opened": Keys(),
    "closed": Keys(),
}


def by_pane(waiting: Waiting, width: int, keep: int) -> dict[int, Values]:
    """Pane index -> values, without panes that are out of reach beside the newest."""
    if width == LIFETIME:
        return {0: waiting}
    newest = waiting.last // width
    if waiting.first // width == newest:
        return {newest: waiting}
    oldest = newest - keep
    found: dict[int, Values] = {}
    values = waiting.values
    for place, at in enumerate(waiting.times):
        index = at // width
        pane = found.get(index)
        if pane is not None:
            pane.times.append(at)
            pane.values.append(values[place])
        elif index > oldest:
            found[index] = Values([at], [values[place]])
    return found


def fold(tier: Tier, component: Component, groups: dict[int, Values], keep: int) -> None:
    """Put `groups` into their panes, and drop what no window can reach any more."""
    for index, some in groups.items():
        tier[index] = component.fold(tier.get(index), some.times, some.values)
    if len(tier) > 1:
        drop_old(tier, keep)


def drop_old(tier: Tier, keep: int) -> None:
    """Drop what no window can reach any more, counted from the newest pane, so that what is left does
    not depend on the order in which panes came."""
    oldest = max(tier) - keep
    if min(tier) <= oldest:
        for index in [index for index in tier if index <= oldest]:
            del tier[index]


def least(some: list[Any]) -> Any:
    found = some[0]
    for one in some:
        if one < found:
            found = one
    return found


def most(some: list[Any]) -> Any:
    found = some[0]
    for one in some:
        if one > found:
            found = one
    return found


def total(numbers: list[int]) -> int:
    found = 0
    for number in numbers:
        found += number
    return found


def added(panes: list[dict[Any, int]]) -> dict[Any, int]:
    """Counts per value over one or more panes."""
    found = panes[0].copy()
    for pane in panes[1:]:
        for value, count in pane.items():
            found[value] = found.get(value, 0) + count
    return found


def _plus(one: int, other: int) -> int:
    return max(-_MOST, min(_MOST, one + other))


def _far_from_it(sums: list[Any]) -> bool:
    return not sums or (least(sums) > -_FAR_FROM_IT and most(sums) < _FAR_FROM_IT)


def _room(sizes: list[int], values: list[Any], bound: int) -> bool:
    """Whether no pane, of these sizes or new, would hold more than `bound` with `values` in it."""
    room = bound - len(values)
    return room >= 0 and (not sizes or max(sizes) <= room)


def _frequent(counts: dict[Any, int]) -> dict[Any, int]:
    if len(counts) <= MOST_COUNTED:
        return counts
    less = sorted(counts.values(), reverse=True)[MOST_COUNTED]
    return {value: count - less for value, count in counts.items() if count > less}


def _newest(latest: dict[str, int]) -> dict[str, int]:
    """The MOST_KEYS keys that were heard of last."""
    if len(latest) <= MOST_KEYS:
        return latest
    return dict(sorted(latest.items(), key=lambda item: (item[1], item[0]))[-MOST_KEYS:])
