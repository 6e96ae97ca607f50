"""All of churn that a customer's record holds, and what happens to it. The customer step calls this.

begins       whether an event is a reason to keep anything
happened     at a purchase, or what else asks for a score
due          when to be scored next because of time, for the record's timer
again        whether it is so long since the last score
last         as of when they were scored last
ask          notes that something asks for a score; whether it is to be found at once
score        what the model says now; leaves a snapshot behind, at most one in `apart`
newest       the newest score
is_news      whether a score is a reason to tell of this customer
told         this customer was told of
forget       the newest score is not known any more
examples     snapshots whose horizon has passed, with their labels, for the learner
merge        two customers are one
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from operators.churn import pending, statistics, values, vector
from operators.churn.definition import Deal, Definition
from operators.churn.parts import Churn, Score
from operators.churn.reasons import Reasons
from operators.churn.scoring import Scorer
from operators.served import Served
from schemas.churn import Example

CHANGE = 0.01  # a score that moved less has the reasons and the outlook it had: they take as long as it
MOVED = 0.01  # of probability: a score that moved less is no news for a profile


def empty() -> Churn:
    return Churn(statistics.empty(), [])


def begins(deal: Deal) -> bool:
    """Whether there is something to keep of somebody of whom nothing is kept yet."""
    return deal.bought


def happened(churn: Churn, at: int, deal: Deal, definition: Definition) -> bool:
    """An event at `at` that is a purchase or asks for a score; whether it is answered at once, not when the
    throttle is over."""
    if deal.bought:
        bought(churn, at, deal.value, definition)
    if churn.scored is not None and at < churn.scored.at + definition.throttle:
        churn.asked = True
        return False
    return True


def bought(churn: Churn, at: int, value: int, definition: Definition) -> None:
    """A purchase of `value` (minor units) at `at` (ms)."""
    statistics.add(churn.bought, at, value)
    churn.explained = -1.0
    pending.mark(churn.waiting, (at,), definition.horizon)


def eligible(churn: Churn, at: int, definition: Definition) -> bool:
    """Whether there is something to score at `at`."""
    return churn.bought.count >= definition.least


def due(churn: Churn, definition: Definition) -> int:
    """When time alone next asks for something: a score or a label; -1: never."""
    label = churn.waiting[0].at + definition.horizon if churn.waiting else -1
    if churn.bought.count < definition.least:
        return label
    again = _last(churn) + _wait(churn, definition)
    return again if label < 0 or again < label else label


def again(churn: Churn, now: int, definition: Definition) -> bool:
    """Whether time alone asks for a score."""
    return churn.bought.count >= definition.least and _last(churn) + _wait(churn, definition) <= now


def last(churn: Churn) -> int:
    """As of when they were scored last (ms), -1: never."""
    return churn.scored.at if churn.scored is not None else -1


def ask(churn: Churn, at: int, definition: Definition) -> bool:
    """Scores are found at once: when the next is due follows from the last."""
    return True


def newest(
    churn: Churn, served: Served, more: Callable[[int], Sequence[float]], definition: Definition
) -> Score | None:
    """The newest score."""
    return churn.scored


def is_news(churn: Churn, score: Score | None) -> bool:
    """Whether a profile is to say so."""
    return score is not None and abs(score.probability - churn.told) >= MOVED


def told(churn: Churn) -> None:
    """A profile says, or would, what the newest score is."""
    if churn.scored is not None:
        churn.told = churn.scored.probability


def forget(churn: Churn) -> None:
    """The newest score is not known any more."""
    churn.scored = None


def _wait(churn: Churn, definition: Definition) -> int:
    return definition.throttle if churn.asked else definition.every


def _last(churn: Churn) -> int:
    return churn.scored.at if churn.scored is not None else churn.bought.latest[0]


def score(
    churn: Churn, owner: str, at: int, more: Sequence[float], scorer: Scorer, definition: Definition
) -> Score:
    """Score the customer `owner` as of `at`, which is not before anything in their record: the caller
    takes the later of the due time and the newest event applied. Raises ValueError otherwise, because the
    snapshot would hold what its scoring time could not know."""
    purchases = churn.bought
    if at < purchases.latest[0]:
        raise ValueError(f"a score as of {at} would use a purchase of {purchases.latest[0]}")
    horizon = definition.horizon
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
        why = _reasons(definition.more).of(scorer.function, inputs)
        outlook = vector.outlook(facts, scorer.fitted, at, horizon)
        found = Score(at, risk, why, version, *outlook, values.rank(scorer.values, outlook.value))
        churn.explained = risk
    churn.scored = found
    churn.asked = False
    pending.leave(churn, at, owner, facts, risk, version, definition.apart)
    return found


@lru_cache(maxsize=8)
def _reasons(more: tuple[str, ...]) -> Reasons:
    return Reasons(vector.words(more), vector.GROUPS)


def examples(churn: Churn, now: int, definition: Definition) -> list[Example]:
    """What the learner may know at `now` (ms), the watermark."""
    return pending.examples(churn.waiting, now, definition.horizon, lambda one: not one.back, vector.segment)


def merge(mine: Churn, theirs: Churn, definition: Definition) -> None:
    """Take over all of `theirs`. The score is stale from then on: score again."""
    times = (mine.bought.times, theirs.bought.times)
    pending.merge(mine.waiting, theirs.waiting, times, definition.horizon)
    statistics.merge(mine.bought, theirs.bought)
    mine.snapshot_at = max(mine.snapshot_at, theirs.snapshot_at)
    mine.told = max(mine.told, theirs.told)
    mine.explained = -1.0  # nobody has said why yet of the two as one
    mine.scored = max((one for one in (mine.scored, theirs.scored) if one is not None), default=None)
    mine.asked = mine.asked or theirs.asked
