"""All of purchase intent that a customer's record holds, and what happens to it.

begins    whether an event is a reason to keep anything
happened  at an order or a signal; whether it asks for a score
due       when the next label is known, for the record's timer
again     never: what asks for a score is what somebody does
last      as of when they were scored last
ask       notes that something asks for a score; whether it is to be found at once
score     what the model says now; leaves a snapshot behind, at most one in `apart`
newest    the newest score
is_news   whether a score is a reason to tell of this visitor
told      this visitor was told of
forget    the newest score is not known any more
examples  snapshots whose horizon has passed, with their labels, for the learner
merge     two customers are one
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from operators.churn import pending
from operators.churn.reasons import Reasons
from operators.churn.scoring import Scorer
from operators.intent import vector, visits
from operators.intent.definition import ORDER, Definition
from operators.intent.parts import Score, Visitor
from operators.served import Served
from schemas.churn import Example

UNLIKELY = 0.05  # of a probability below it nobody asks why, and most are


def empty() -> Visitor:
    return Visitor([], {}, -1, 0, [], [])


def begins(what: str) -> bool:
    """Whether there is something to keep of somebody of whom nothing is kept yet."""
    return True


def happened(visitor: Visitor, at: int, what: str, definition: Definition) -> bool:
    """An order, or the signal `what`, at `at` (ms); whether it asks for a score."""
    if what == ORDER:
        ordered(visitor, at, definition)
        return True
    saw(visitor, at, what, definition)
    return at >= visitor.visits[-1].start  # else told late, of an earlier visit


def saw(visitor: Visitor, at: int, signal: str, definition: Definition) -> None:
    visitor.totals[signal] = visitor.totals.get(signal, 0) + 1
    if visitor.first < 0 or at < visitor.first:
        visitor.first = at
    visits.add(visitor.visits, at, signal, definition.gap)


def ordered(visitor: Visitor, at: int, definition: Definition) -> None:
    visitor.orders += 1
    insort(visitor.ordered, at)
    _keep(visitor, definition)
    _answer(visitor, (at,), definition)


def _keep(visitor: Visitor, definition: Definition) -> None:
    """Of the orders' times those that a snapshot which waits may ask for, here or where this is merged
    with, whose time may be a little behind; and the last one ends what a score of before it said."""
    last = visitor.ordered[-1]
    since = last - 2 * definition.horizon
    if visitor.ordered[0] < since:
        visitor.ordered = [at for at in visitor.ordered if at >= since]
    if visitor.as_of < last:
        visitor.as_of = -1


def _answer(visitor: Visitor, times: Iterable[int], definition: Definition) -> None:
    """What orders at `times` say to the snapshots that wait."""
    waiting, horizon = visitor.waiting, definition.horizon
    if not definition.visit:
        pending.mark(waiting, times, horizon)
        return
    for at in times:
        start = visits.began(visitor.visits, at, definition.gap)
        pending.mark((one for one in waiting if one.at >= start), (at,), horizon)


def eligible(visitor: Visitor, at: int, definition: Definition) -> bool:
    """Whether they are there at `at`."""
    return bool(visitor.visits) and at - visitor.visits[-1].end <= definition.gap


def due(visitor: Visitor, definition: Definition) -> int:
    """When the next label is known; -1: none waits."""
    return visitor.waiting[0].at + definition.horizon if visitor.waiting else -1


def again(visitor: Visitor, now: int, definition: Definition) -> bool:
    return False


def last(visitor: Visitor) -> int:
    """As of when they were scored last (ms), -1: not since an order."""
    return visitor.as_of


def ask(visitor: Visitor, at: int, definition: Definition) -> bool:
    """They are to be scored as of `at` (ms). Mostly nobody looks at the score before the next thing that they
    do, so it is found when somebody does, but for those that leave a snapshot."""
    visitor.as_of = at
    return pending.is_due(visitor, at, definition.apart)


def score(
    visitor: Visitor, owner: str, at: int, more: Sequence[float], scorer: Scorer, definition: Definition
) -> Score:
    """Score the visitor `owner` as of `at`, which is not before anything in their record, without saying why.
    Raises ValueError otherwise, because the snapshot would hold what its scoring time could not know."""
    facts = _facts(visitor, at, more, definition)
    chance = scorer.score(vector.inputs(facts, scorer.fitted, definition.horizon))
    pending.leave(visitor, at, owner, facts, chance, scorer.version, definition.apart)
    return Score(at, chance, (), scorer.version)


def newest(
    visitor: Visitor, served: Served, more: Callable[[int], Sequence[float]], definition: Definition
) -> Score | None:
    """The newest score; `more`: the features that are facts, at a moment (ms)."""
    at = visitor.as_of
    if at < 0 or visitor.visits[-1].end > at:
        return None  # never scored, or what was told of their last visit came too late to be
    facts, scorer = _facts(visitor, at, more(at), definition), served.scorer(at)
    inputs = vector.inputs(facts, scorer.fitted, definition.horizon)
    chance = scorer.score(inputs)
    why: tuple[str, ...] = ()
    if chance >= UNLIKELY:
        why = _reasons(tuple(definition.signals), definition.more).of(scorer.function, inputs)
    return Score(at, chance, why, scorer.version)


def is_news(visitor: Visitor, score: Score | None) -> bool:
    """Whether a profile is to say so: whatever they do moves it."""
    return True


def told(visitor: Visitor) -> None:
    """Nothing to remember."""


def forget(visitor: Visitor) -> None:
    """The newest score is not known any more."""
    visitor.as_of = -1


def _facts(visitor: Visitor, at: int, more: Sequence[float], definition: Definition) -> tuple[float, ...]:
    ordered_at = visitor.ordered[-1] if visitor.ordered else -1
    newest = max(visitor.visits[-1].end if visitor.visits else -1, ordered_at)
    if at < newest:
        raise ValueError(f"a score as of {at} would use what happened at {newest}")
    return vector.facts(
        visitor.visits, visitor.totals, visitor.first, visitor.orders, ordered_at, at, definition.gap,
        definition.signals, more,
    )  # fmt: skip


@lru_cache(maxsize=8)
def _reasons(signals: tuple[str, ...], more: tuple[str, ...]) -> Reasons:
    return Reasons(vector.words(signals, more), vector.GROUPS)


def examples(visitor: Visitor, now: int, definition: Definition) -> list[Example]:
    """What the learner may know at `now` (ms), the watermark."""
    return pending.examples(visitor.waiting, now, definition.horizon, lambda one: one.back, vector.segment)


def merge(mine: Visitor, theirs: Visitor, definition: Definition) -> None:
    """Take over all of `theirs`: as if they had been one from the start, but for what was scored."""
    mine.visits = visits.together(mine.visits + theirs.visits, definition.gap)
    for signal, count in theirs.totals.items():
        mine.totals[signal] = mine.totals.get(signal, 0) + count
    mine.first = min((first for first in (mine.first, theirs.first) if first >= 0), default=-1)
    pending.merge(mine.waiting, theirs.waiting, ([], []), definition.horizon)
    mine.orders += theirs.orders
    mine.ordered = sorted(mine.ordered + theirs.ordered)
    _answer(mine, mine.ordered, definition)
    mine.snapshot_at = max(mine.snapshot_at, theirs.snapshot_at)
    mine.as_of = max(mine.as_of, theirs.as_of)
    if mine.ordered:
        _keep(mine, definition)
