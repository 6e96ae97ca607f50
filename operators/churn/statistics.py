"""What a customer's purchases amount to: streaming, mergeable, exact.

Counts, sums, the earliest and the latest, and the newest KEPT times as a sorted list. The newest of a
union are the newest of the newest of both, so two customers merge as if they had been one from the
start, in any order. Everything about gaps, trends and MBG/NBD's (x, t_x, T) is derived from these.
"""

from __future__ import annotations

from bisect import insort
from typing import Final

from operators.churn.parts import Statistics

DAY: Final = 86_400_000  # ms
KEPT: Final = 32  # purchases whose times are known one by one


def empty() -> Statistics:
    return Statistics(times=[])


def add(statistics: Statistics, at: int, value: int) -> None:
    """Count a purchase of `value`; late ones belong where their time says."""
    statistics.count += 1
    statistics.total += value
    first = statistics.first
    if first < 0 or at < first:
        statistics.first = at
    newest, last = statistics.latest
    if at > newest or (at == newest and value > last):
        statistics.latest = (at, value)
    times = statistics.times
    if times and at < times[-1]:
        insort(times, at)
    else:
        times.append(at)
    if len(times) > KEPT:
        del times[:-KEPT]


def merge(mine: Statistics, theirs: Statistics) -> None:
    """Take over all of `theirs`."""
    if not theirs.count:
        return
    if not mine.count or theirs.first < mine.first:
        mine.first = theirs.first
    mine.count += theirs.count
    mine.total += theirs.total
    mine.latest = max(mine.latest, theirs.latest)
    mine.times = sorted(mine.times + theirs.times)[-KEPT:]
