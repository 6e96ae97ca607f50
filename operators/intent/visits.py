"""When somebody was there: signals put together to visits.

A visit ends where nothing is done for longer than `gap`. Two people's visits put together are those of all
their signals, because each is a chain of steps no longer than that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from operators.intent.parts import Visit

KEPT: Final = 8  # the newest; a model looks at two, late signals and merges may close gaps between others


def add(visits: list[Visit], at: int, signal: str, gap: int) -> bool:
    """A signal at `at` (ms); late ones belong where their time says. Whether it is of the newest visit."""
    if visits:
        newest = visits[-1]
        end = newest.end
        if at <= end + gap:
            if at < newest.start:
                visits[:] = together([*visits, Visit(at, at, {signal: 1})], gap)
                return at >= visits[-1].start
            if at > end:
                newest.end = at
            counts = newest.counts
            counts[signal] = counts.get(signal, 0) + 1
            return True
    visits.append(Visit(at, at, {signal: 1}))
    if len(visits) > KEPT:
        del visits[:-KEPT]
    return True


def together(visits: Iterable[Visit], gap: int) -> list[Visit]:
    """Ascending, with those put together that lie no more than `gap` apart."""
    found: list[Visit] = []
    for visit in sorted(visits, key=_start):
        if found and visit.start <= found[-1].end + gap:
            last = found[-1]
            last.end = max(last.end, visit.end)
            for signal, count in visit.counts.items():
                last.counts[signal] = last.counts.get(signal, 0) + count
        else:
            found.append(visit)
    return found[-KEPT:]


def began(visits: Iterable[Visit], at: int, gap: int) -> int:
    """When the visit began that was going on at `at`; `at` itself where there was none."""
    return next((visit.start for visit in visits if visit.start <= at <= visit.end + gap), at)


def _start(visit: Visit) -> int:
    return visit.start
