"""Snapshots that wait for their labels.

What was known of a customer when they were scored waits until scoring time + horizon; then it is known
whether they bought in between, and facts and label go to the learner together. "Came back" is known
earlier, but waits too: a learner that gets the early labels early sees the loyal first and the leavers
a horizon later, and is biased by as much as the business grows or the season turns.

A snapshot stays what it was when two customers turn out to be one: it is what the scorer saw. Its label
is that of the one person: a purchase by either half counts for the waiting snapshots of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from struct import Struct
from typing import Protocol

from operators.churn.parts import Snapshot
from schemas.churn import Example


class Scored(Protocol):
    """What the parts of all that is foretold have in common. `snapshot_at`: of the newest snapshot (ms)."""

    waiting: list[Snapshot]
    snapshot_at: int


def is_due(part: Scored, at: int, apart: int) -> bool:
    """Whether a score as of `at` leaves a snapshot behind, at most one in `apart` (ms)."""
    last = part.snapshot_at
    return last < 0 or at >= last + apart


def leave(
    part: Scored, at: int, owner: str, facts: tuple[float, ...], score: float, version: int, apart: int
) -> None:
    """A score as of `at` leaves a snapshot behind, when one is due."""
    if is_due(part, at, apart):
        part.waiting.append(snapshot(at, owner, facts, score, version))
        part.snapshot_at = at


def snapshot(at: int, owner: str, facts: tuple[float, ...], score: float, version: int) -> Snapshot:
    return Snapshot(at, owner, _floats(len(facts)).pack(*facts), score, version)


def unpacked(facts: bytes) -> tuple[float, ...]:
    return _floats(len(facts) // 4).unpack(facts)


@cache
def _floats(count: int) -> Struct:
    """Of as many facts as a definition has."""
    return Struct(f"<{count}f")


def mark(waiting: Iterable[Snapshot], times: Iterable[int], horizon: int) -> None:
    """Purchases at `times`: whose snapshots are answered by them with "came back"."""
    for one in waiting:
        if not one.back and any(one.at < time <= one.at + horizon for time in times):
            one.back = True


def release(waiting: list[Snapshot], now: int, horizon: int) -> list[Snapshot]:
    """Take out those whose horizon has passed at `now` (ms), oldest first; both labels at that moment."""
    count = 0
    for one in waiting:  # oldest first; mostly there is one
        if one.at + horizon > now:
            break
        count += 1
    done = waiting[:count]
    del waiting[:count]
    return done


def example(one: Snapshot, horizon: int, label: bool, segment: Callable[[tuple[float, ...]], str]) -> Example:
    """What the learner may know when the horizon has passed; `segment` is told the facts."""
    facts = unpacked(one.facts)
    return Example(
        customer=one.owner,
        at=one.at,
        known_at=one.at + horizon,
        facts=facts,
        label=label,
        score=one.score,
        version=one.version,
        segment=segment(facts),
    )


def merge(
    mine: list[Snapshot], theirs: list[Snapshot], times: tuple[list[int], list[int]], horizon: int
) -> None:
    """Take over `theirs`. `times`: purchases of both, as far as they are known one by one."""
    known = {(one.at, one.owner) for one in mine}
    mine += [one for one in theirs if (one.at, one.owner) not in known]
    mine.sort()
    mark(mine, times[0] + times[1], horizon)


def split(waiting: list[Snapshot], leaving: frozenset[str], merged_at: int) -> tuple[list[Snapshot], ...]:
    """Undo a merge: (snapshots that stay, snapshots that leave). What was scored as one person after
    `merged_at` describes neither of the two and is dropped; labels are to be marked anew by the caller
    with each half's own purchases."""
    stay: list[Snapshot] = []
    leave: list[Snapshot] = []
    for one in waiting:
        if one.at <= merged_at:
            one.back = False
            (leave if one.owner in leaving else stay).append(one)
    return stay, leave
