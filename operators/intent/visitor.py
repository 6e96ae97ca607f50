"""All of purchase intent that a customer's record holds, and what happens to it."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from typing import Final

from operators.churn import pending
from operators.churn.keeper import Keeper, More
from operators.churn.parts import Snapshot
from operators.churn.reasons import Reasons
from operators.churn.scoring import Scorer
from operators.intent import vector, visits
from operators.intent.definition import ORDER, Definition
from operators.intent.parts import Score, Visitor
from operators.served import Served
from schemas.churn import Example

UNLIKELY: Final = 0.05  # of a probability below it nobody asks why, and most are


def empty() -> Visitor:
    return Visitor([], {}, -1, 0, [], [])


class IntentKeeper(Keeper):
    """Mostly nobody looks at a score before the next thing that the visitor does, so it is found when
    somebody does, but for those that leave a snapshot. What asks for one is what they do, never time."""

    def __init__(self, definition: Definition) -> None:
        self._horizon = definition.horizon
        self._gap = definition.gap
        self._apart = definition.apart
        self._visit = definition.visit
        self._signals = tuple(definition.signals)
        self._reasons = Reasons(definition.words, vector.GROUPS)

    def begins(self, what: str) -> bool:
        return True

    def happened(self, visitor: Visitor, at: int, what: str) -> bool:
        """An order, or the signal `what`."""
        if what == ORDER:
            self.ordered(visitor, at)
            return True
        return self.saw(visitor, at, what)

    def saw(self, visitor: Visitor, at: int, signal: str) -> bool:
        """A signal at `at` (ms); whether it is of the newest visit, and was not told late."""
        totals = visitor.totals
        totals[signal] = totals.get(signal, 0) + 1
        first = visitor.first
        if first < 0 or at < first:
            visitor.first = at
        return visits.add(visitor.visits, at, signal, self._gap)

    def ordered(self, visitor: Visitor, at: int) -> None:
        visitor.orders += 1
        ordered = visitor.ordered
        if ordered and at < ordered[-1]:
            insort(ordered, at)
        else:
            ordered.append(at)
        self._keep(visitor)
        self._answer(visitor, (at,))

    def _keep(self, visitor: Visitor) -> None:
        """Of the orders' times those that a snapshot which waits may ask for, here or where this is merged
        with, whose time may be a little behind; and the last one ends what a score of before it said."""
        ordered = visitor.ordered
        last = ordered[-1]
        since = last - 2 * self._horizon
        if ordered[0] < since:
            visitor.ordered = [at for at in ordered if at >= since]
        if visitor.as_of < last:
            visitor.as_of = -1

    def _answer(self, visitor: Visitor, times: Iterable[int]) -> None:
        """What orders at `times` say to the snapshots that wait."""
        waiting = visitor.waiting
        if not self._visit:
            pending.mark(waiting, times, self._horizon)
            return
        for at in times:
            start = visits.began(visitor.visits, at, self._gap)
            pending.mark([one for one in waiting if one.at >= start], (at,), self._horizon)

    def eligible(self, visitor: Visitor, at: int) -> bool:
        """Whether they are there at `at`."""
        seen = visitor.visits
        return bool(seen) and at - seen[-1].end <= self._gap

    def due(self, visitor: Visitor) -> int:
        """When the next label is known."""
        waiting = visitor.waiting
        return waiting[0].at + self._horizon if waiting else -1

    def again(self, visitor: Visitor, now: int) -> bool:
        return False

    def last(self, visitor: Visitor) -> int:
        return visitor.as_of

    def ask(self, visitor: Visitor, at: int) -> bool:
        visitor.as_of = at
        return pending.is_due(visitor, at, self._apart)

    def score(
        self, visitor: Visitor, owner: str, at: int, more: Sequence[float], scorer: Scorer
    ) -> Score:  # fmt: skip
        """Without saying why."""
        facts = self._facts(visitor, at, more)
        chance = scorer.score(vector.inputs(facts, scorer.fitted, self._horizon))
        pending.leave(visitor, at, owner, facts, chance, scorer.version, self._apart)
        return Score(at, chance, (), scorer.version)

    def newest(self, visitor: Visitor, served: Served, more: More) -> Score | None:
        at = visitor.as_of
        if at < 0 or visitor.visits[-1].end > at:
            return None  # never scored, or what was told of their last visit came too late to be
        facts, scorer = self._facts(visitor, at, more(at)), served.scorer(at)
        inputs = vector.inputs(facts, scorer.fitted, self._horizon)
        chance = scorer.score(inputs)
        why = self._reasons.of(scorer.function, inputs) if chance >= UNLIKELY else ()
        return Score(at, chance, why, scorer.version)

    def is_news(self, visitor: Visitor, score: Score | None) -> bool:
        """Whatever they do moves it."""
        return True

    def forget(self, visitor: Visitor) -> None:
        visitor.as_of = -1

    def _facts(self, visitor: Visitor, at: int, more: Sequence[float]) -> tuple[float, ...]:
        seen, ordered = visitor.visits, visitor.ordered
        ordered_at = ordered[-1] if ordered else -1
        newest = max(seen[-1].end if seen else -1, ordered_at)
        if at < newest:
            raise ValueError(f"a score as of {at} would use what happened at {newest}")
        return vector.facts(
            seen, visitor.totals, visitor.first, visitor.orders, ordered_at, at, self._gap, self._signals,
            more,
        )  # fmt: skip

    def release(self, visitor: Visitor, now: int) -> list[Snapshot]:
        return pending.release(visitor.waiting, now, self._horizon)

    def example(self, one: Snapshot) -> Example:
        """Positive: they ordered."""
        return pending.example(one, self._horizon, one.back, vector.segment)

    def merge(self, mine: Visitor, theirs: Visitor) -> None:
        """As if they had been one from the start, but for what was scored."""
        mine.visits = visits.together(mine.visits + theirs.visits, self._gap)
        for signal, count in theirs.totals.items():
            mine.totals[signal] = mine.totals.get(signal, 0) + count
        mine.first = min((first for first in (mine.first, theirs.first) if first >= 0), default=-1)
        pending.merge(mine.waiting, theirs.waiting, ([], []), self._horizon)
        mine.orders += theirs.orders
        mine.ordered = sorted(mine.ordered + theirs.ordered)
        self._answer(mine, mine.ordered)
        mine.snapshot_at = max(mine.snapshot_at, theirs.snapshot_at)
        mine.as_of = max(mine.as_of, theirs.as_of)
        if mine.ordered:
            self._keep(mine)
