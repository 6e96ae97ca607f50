"""All of churn that a customer's record holds, and what happens to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from operators.churn import pending, statistics, values, vector
from operators.churn.definition import Deal, Definition
from operators.churn.keeper import Keeper, More
from operators.churn.parts import Churn, Score, Snapshot
from operators.churn.reasons import Reasons
from operators.churn.scoring import Scorer
from operators.served import Served
from schemas.churn import Example

CHANGE: Final = 0.01  # a score that moved less has the reasons and the outlook it had, which take as long
MOVED: Final = 0.01  # of probability: a score that moved less is no news for a profile


def empty() -> Churn:
    return Churn(statistics.empty(), [])


def untold(churn: Churn) -> bool:
    """Whether no profile has said yet, nor would have, what the newest score is."""
    return churn.scored is not None and churn.scored.probability != churn.told


def told(churn: Churn) -> None:
    """A profile says, or would, what the newest score is."""
    if churn.scored is not None:
        churn.told = churn.scored.probability


class ChurnKeeper(Keeper):
    """Scores are found at once: when the next is due follows from the last."""

    def __init__(self, definition: Definition) -> None:
        self._horizon = definition.horizon
        self._every = definition.every
        self._throttle = definition.throttle
        self._apart = definition.apart
        self._least = definition.least
        self._reasons = Reasons(definition.words, vector.GROUPS)

    def begins(self, deal: Deal) -> bool:
        return deal[0]

    def happened(self, churn: Churn, at: int, deal: Deal) -> bool:
        """A purchase, or what else asks for a score; whether it is answered at once, not when the throttle is
        over."""
        is_bought, value = deal
        if is_bought:
            self.bought(churn, at, value)
        scored = churn.scored
        if scored is not None and at < scored.at + self._throttle:
            churn.asked = True
            return False
        return True

    def bought(self, churn: Churn, at: int, value: int) -> None:
        """A purchase of `value` (minor units) at `at` (ms)."""
        statistics.add(churn.bought, at, value)
        churn.explained = -1.0
        pending.mark(churn.waiting, (at,), self._horizon)

    def eligible(self, churn: Churn, at: int) -> bool:
        return churn.bought.count >= self._least

    def due(self, churn: Churn) -> int:
        waiting = churn.waiting
        label = waiting[0].at + self._horizon if waiting else -1
        if churn.bought.count < self._least:
            return label
        again = self._next(churn)
        return again if label < 0 or again < label else label

    def again(self, churn: Churn, now: int) -> bool:
        return churn.bought.count >= self._least and self._next(churn) <= now

    def _next(self, churn: Churn) -> int:
        """When time alone asks for a score."""
        scored = churn.scored
        last = scored.at if scored is not None else churn.bought.latest[0]
        return last + (self._throttle if churn.asked else self._every)

    def last(self, churn: Churn) -> int:
        scored = churn.scored
        return scored.at if scored is not None else -1

    def ask(self, churn: Churn, at: int) -> bool:
        return True

    def score(self, churn: Churn, owner: str, at: int, more: Sequence[float], scorer: Scorer) -> Score:
        purchases = churn.bought
        newest = purchases.latest[0]
        if at < newest:
            raise ValueError(f"a score as of {at} would use a purchase of {newest}")
        horizon = self._horizon
        facts = vector.facts(purchases, at, horizon, more)
        inputs = vector.inputs(facts, scorer.fitted, horizon)
        risk, version = scorer.score(inputs), scorer.version
        old = churn.scored
        if old is not None and version == old.version and -CHANGE < risk - churn.explained < CHANGE:
            found = Score(
                at, risk, old.reasons, version, old.expected_purchases, old.expected_value,
                old.next_purchase_at, old.value_rank,
            )  # fmt: skip
        else:
            why = self._reasons.of(scorer.function, inputs)
            purchases_due, worth, next_at = vector.outlook(facts, scorer.fitted, at, horizon)
            rank = values.rank(scorer.values, worth)
            found = Score(at, risk, why, version, purchases_due, worth, next_at, rank)
            churn.explained = risk
        churn.scored = found
        churn.asked = False
        pending.leave(churn, at, owner, facts, risk, version, self._apart)
        return found

    def newest(self, churn: Churn, served: Served, more: More) -> Score | None:
        return churn.scored

    def is_news(self, churn: Churn, score: Score | None) -> bool:
        return score is not None and abs(score.probability - churn.told) >= MOVED

    def forget(self, churn: Churn) -> None:
        churn.scored = None

    def release(self, churn: Churn, now: int) -> list[Snapshot]:
        return pending.release(churn.waiting, now, self._horizon)

    def example(self, one: Snapshot) -> Example:
        """Positive: they stayed away."""
        return pending.example(one, self._horizon, not one.back, vector.segment)

    def merge(self, mine: Churn, theirs: Churn) -> None:
        """The score is stale from then on: score again."""
        times = (mine.bought.times, theirs.bought.times)
        pending.merge(mine.waiting, theirs.waiting, times, self._horizon)
        statistics.merge(mine.bought, theirs.bought)
        mine.snapshot_at = max(mine.snapshot_at, theirs.snapshot_at)
        mine.told = max(mine.told, theirs.told)
        mine.explained = -1.0  # nobody has said why yet of the two as one
        mine.scored = max((one for one in (mine.scored, theirs.scored) if one is not None), default=None)
        mine.asked = mine.asked or theirs.asked
