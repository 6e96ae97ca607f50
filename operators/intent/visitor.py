"""All of purchase intent that a customer's record holds, and what happens to it.

saw       at an event that is a signal
ordered   at an order
score     what the model says now; leaves a snapshot behind, at most one in `apart`
due       when the next label is known, for the record's timer
examples  snapshots whose horizon has passed, with their labels, for the learner
merge     two customers are one
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence

import msgspec

from operators.churn import pending
from operators.churn.pending import Snapshot
from operators.churn.scoring import Scorer
from operators.intent import vector
from operators.intent.definition import Definition
from schemas.churn import Example

KEPT = 64  # signals whose times are known one by one: a visit of more has at least so many


class Score(msgspec.Struct, array_like=True, frozen=True, order=True):
    """The probability of an order within the horizon, as of `at` (ms), and by which model (0: the rule)."""

    at: int
    probability: float
    version: int


class Visitor(msgspec.Struct, array_like=True, gc=False):
    """The part of a customer's record. `totals` by signal; `seen`: (time in ms, signal) of the newest KEPT;
    `first`: of the earliest. `orders`: how many; `ordered`: when, of those that waiting snapshots ask for."""

    totals: dict[str, int]
    seen: list[tuple[int, str]]
    first: int
    orders: int
    ordered: list[int]
    waiting: list[Snapshot]
    scored: Score | None = None
    snapshot_at: int = -1


def empty() -> Visitor:
    return Visitor({}, [], -1, 0, [], [])


def saw(visitor: Visitor, at: int, signal: str) -> None:
    """A signal at `at` (ms); late ones belong where their time says."""
    visitor.totals[signal] = visitor.totals.get(signal, 0) + 1
    if visitor.first < 0 or at < visitor.first:
        visitor.first = at
    insort(visitor.seen, (at, signal))
    del visitor.seen[:-KEPT]


def ordered(visitor: Visitor, at: int, definition: Definition) -> None:
    visitor.orders += 1
    insort(visitor.ordered, at)
    del visitor.ordered[:-KEPT]
    pending.mark(visitor.waiting, (at,), definition.horizon)


def due(visitor: Visitor, definition: Definition) -> int:
    """When the next label is known; -1: none waits."""
    return min((one.at for one in visitor.waiting), default=-1 - definition.horizon) + definition.horizon


def score(
    visitor: Visitor, owner: str, at: int, more: Sequence[float], scorer: Scorer, definition: Definition
) -> Score:
    """Score the visitor `owner` as of `at`, which is not before anything in their record. Raises ValueError
    otherwise, because the snapshot would hold what its scoring time could not know."""
    newest = max(visitor.seen[-1][0] if visitor.seen else -1, visitor.ordered[-1] if visitor.ordered else -1)
    if at < newest:
        raise ValueError(f"a score as of {at} would use what happened at {newest}")
    facts = vector.facts(
        visitor.seen, visitor.totals, visitor.first, visitor.orders,
        visitor.ordered[-1] if visitor.ordered else -1, at, definition.gap, tuple(definition.signals), more,
    )  # fmt: skip
    chance = scorer.score(vector.inputs(facts, scorer.fitted, definition.horizon))
    found = visitor.scored = Score(at, chance, scorer.version)
    if visitor.snapshot_at < 0 or at >= visitor.snapshot_at + definition.apart:
        visitor.waiting.append(pending.snapshot(at, owner, facts, chance, scorer.version))
        visitor.snapshot_at = at
    return found


def examples(visitor: Visitor, now: int, definition: Definition) -> list[Example]:
    """What the learner may know at `now` (ms), the watermark."""
    return pending.examples(visitor.waiting, now, definition.horizon, lambda one: one.back, vector.segment)


def merge(mine: Visitor, theirs: Visitor, definition: Definition) -> None:
    """Take over all of `theirs`: as if they had been one from the start, but for what was scored."""
    pending.merge(mine.waiting, theirs.waiting, (mine.ordered, theirs.ordered), definition.horizon)
    for signal, count in theirs.totals.items():
        mine.totals[signal] = mine.totals.get(signal, 0) + count
    mine.seen = sorted(mine.seen + theirs.seen)[-KEPT:]
    mine.first = min((first for first in (mine.first, theirs.first) if first >= 0), default=-1)
    mine.orders += theirs.orders
    mine.ordered = sorted(mine.ordered + theirs.ordered)[-KEPT:]
    mine.snapshot_at = max(mine.snapshot_at, theirs.snapshot_at)
    mine.scored = max((one for one in (mine.scored, theirs.scored) if one is not None), default=None)
