"""What a pane accumulates: per component how values come into it and how two panes merge.

A *tier* is the panes of one component and one width: pane index (event time // width) -> accumulator.
All components but `top` beyond its bound are exact functions of the set of values: order of arrival and
order of merging make no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from operators import distinct

Tier = dict[int, Any]

MOST_COUNTED = 64
MOST_KEYS = 256
_MOST = 1 << 62  # sums stop here: state keeps integers in 64 bits


class Component(NamedTuple):
    """`fold(old, times, values)` is the accumulator with values of these times (ms of event time) in it,
    `old` may be None; `join(one, other)` that of two panes together."""

    fold: Callable[[Any, list[int], list[Any]], Any]
    join: Callable[[Any, Any], Any]


def _count(old: int | None, times: list[int], values: list[Any]) -> int:
    return (old or 0) + len(values)


def _sum(old: int | None, times: list[int], values: list[Any]) -> int:
    return _plus(old or 0, sum(values))


def _plus(one: int, other: int) -> int:
    return max(-_MOST, min(_MOST, one + other))


def _mean(old: list[int] | None, times: list[int], values: list[Any]) -> list[int]:
    """Number and sum: a mean of its own, so that one which a playbook adds later is right at once."""
    return _join_mean(old or [0, 0], [len(values), sum(values)])


def _join_mean(one: list[int], other: list[int]) -> list[int]:
    return [one[0] + other[0], _plus(one[1], other[1])]


def _min(old: Any, times: list[int], values: list[Any]) -> Any:
    least = min(values)
    return least if old is None or least < old else old


def _max(old: Any, times: list[int], values: list[Any]) -> Any:
    most = max(values)
    return most if old is None or most > old else old


def _first(old: Any, times: list[int], values: list[Any]) -> Any:
    return _min(old, times, [list(min(zip(times, values, strict=True)))])


def _last(old: Any, times: list[int], values: list[Any]) -> Any:
    return _max(old, times, [list(max(zip(times, values, strict=True)))])


def _earliest(old: int | None, times: list[int], values: list[Any]) -> int:
    return int(_min(old, times, times))


def _latest(old: int | None, times: list[int], values: list[Any]) -> int:
    return int(_max(old, times, times))


def _distinct(old: distinct.Set | None, times: list[int], values: list[Any]) -> distinct.Set:
    return distinct.add(old, values)


def _top(old: dict[Any, int] | None, times: list[int], values: list[Any]) -> dict[Any, int]:
    counts = {} if old is None else old
    for value in values:
        counts[value] = counts.get(value, 0) + 1
        if len(counts) > MOST_COUNTED:
            counts = _frequent(counts)
    return counts


def _join_top(one: dict[Any, int], other: dict[Any, int]) -> dict[Any, int]:
    return _frequent(added([one, other]))


def added(counts: Iterable[dict[Any, int]]) -> dict[Any, int]:
    """Counts per value over several panes."""
    both: dict[Any, int] = {}
    for pane in counts:
        for value, count in pane.items():
            both[value] = both.get(value, 0) + count
    return both


def _frequent(counts: dict[Any, int]) -> dict[Any, int]:
    """At most MOST_COUNTED counts, each too low by at most n / (MOST_COUNTED + 1) where n is the number of
    values in the pane: J. Misra and D. Gries (1982), merged after P. Agarwal et al., "Mergeable
    summaries" (2012). Exact while a pane has no more different values than that."""
    if len(counts) <= MOST_COUNTED:
        return counts
    less = sorted(counts.values(), reverse=True)[MOST_COUNTED]
    return {value: count - less for value, count in counts.items() if count > less}


def _keys(old: dict[str, int] | None, times: list[int], values: list[str]) -> dict[str, int]:
    latest = {} if old is None else old
    for at, key in zip(times, values, strict=True):
        if at > latest.get(key, at - 1):
            latest[key] = at
    return _newest(latest)


def _join_keys(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return _newest(one | {key: max(at, one.get(key, at)) for key, at in other.items()})


def _newest(latest: dict[str, int]) -> dict[str, int]:
    """The MOST_KEYS keys that were heard of last."""
    if len(latest) <= MOST_KEYS:
        return latest
    return dict(sorted(latest.items(), key=lambda item: (item[1], item[0]))[-MOST_KEYS:])


COMPONENTS: dict[str, Component] = {
    "count": Component(_count, _plus),
    "sum": Component(_sum, _plus),
    "mean": Component(_mean, _join_mean),
    "min": Component(_min, min),
    "max": Component(_max, max),
    "first": Component(_first, min),
    "last": Component(_last, max),
    "earliest": Component(_earliest, min),
    "latest": Component(_latest, max),
    "distinct": Component(_distinct, distinct.union),
    "top": Component(_top, _join_top),
    "opened": Component(_keys, _join_keys),
    "closed": Component(_keys, _join_keys),
}


def drop_old(tier: Tier, keep: int) -> None:
    """Drop what no window can reach any more, counted from the newest pane, so that what is left does
    not depend on the order in which panes came."""
    oldest = max(tier) - keep
    if min(tier) <= oldest:
        for index in [index for index in tier if index <= oldest]:
            del tier[index]
