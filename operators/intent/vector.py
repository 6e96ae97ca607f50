"""What a model knows of somebody who is there: facts at a moment, and the numbers made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import cos, pi, sin
from typing import Final

from operators.churn.parts import Fitted
from operators.churn.scoring import Linear, Scorer
from operators.churn.subject import Subject
from operators.churn.vector import compressed, words_of_features
from operators.intent.parts import Visit

# name -> in words: (when it is large, when it is small). Seconds in and between, hours away, days known; the
# hour of the day (UTC) as a point on a circle around (1, 1). None is below zero.
FACTS = {
    "visit_seconds": ("here for long", "just come"),
    "visit_events": ("much done in this visit", "little done in this visit"),
    "seconds_between": ("takes time over each step", "quick from step to step"),
    "quiet_seconds": ("quiet by now", "active by now"),
    "came_before": ("came before", "here for the first time"),
    "hours_away": ("was away for long", "was not away for long"),
    "days_known": ("known for long", "known for a short time only"),
    "orders": ("many orders", "few orders or none"),
    "ordered_before": ("has ordered before", "has never ordered"),
    "days_since_order": ("long since the last order", "not long since an order"),
    "ordered_in_visit": ("has ordered in this visit", "has not ordered in this visit"),
    "hour_sine": ("the time of day", "the time of day"),
    "hour_cosine": ("the time of day", "the time of day"),
}
GROUPS = (  # of facts that say nearly the same
    ("visit_seconds", "visit_events", "seconds_between"),
    ("came_before", "hours_away", "days_known"),
    ("orders", "ordered_before", "days_since_order"),
    ("hour_sine", "hour_cosine"),
)
HOUR: Final = 3_600_000  # ms
DAY: Final = 24 * HOUR


def names(signals: Iterable[str], more: Iterable[str] = ()) -> tuple[str, ...]:
    """Of the facts, and of a model's inputs, which are the same."""
    here, before = ([f"{name}{when}" for name in signals] for when in ("_in_visit", "_before"))
    return (*FACTS, *here, *before, *more)


def words(signals: Sequence[str], more: Sequence[str] = ()) -> dict[str, tuple[str, str]]:
    """Of each input, what to say when it is large and when it is small."""
    said = {
        f"{name}_in_visit": (f"{name} in this visit", f"few or no {name} in this visit") for name in signals
    }
    said |= {f"{name}_before": (f"{name} before this visit", f"few or no {name} before") for name in signals}
    return FACTS | said | words_of_features(more)


def facts(
    visits: Sequence[Visit], totals: dict[str, int], first: int, orders: int, ordered_at: int,
    at: int, gap: int, signals: Sequence[str], more: Sequence[float] = (),
) -> tuple[float, ...]:  # fmt: skip
    """FACTS, each signal in this visit and before it, and `more`, at `at` (ms). `visits`: the newest,
    ascending, none begun after `at`; `totals` by signal, the first at `first`. `orders`, the last at
    `ordered_at`."""
    here: dict[str, int] = {}
    start = newest = at
    events = 0
    before = -1
    if visits:
        visit = visits[-1]
        end = visit.end
        if at - end <= gap:
            start, newest, here = visit.start, end, visit.counts
            for count in here.values():
                events += count
            if len(visits) > 1:
                before = visits[-2].end
        else:
            before = end
    angle = at % DAY / DAY * 2 * pi
    found = [
        (at - start) / 1000,
        float(events),
        (newest - start) / 1000 / max(1, events - 1),
        (at - newest) / 1000,
        1.0 if before >= 0 else 0.0,
        (start - before) / HOUR if before >= 0 else 0.0,
        max(0, at - first) / DAY if first >= 0 else 0.0,
        float(orders),
        1.0 if orders > 0 else 0.0,
        (at - ordered_at) / DAY if orders else 0.0,
        1.0 if orders > 0 and ordered_at >= start else 0.0,
        1 + sin(angle),
        1 + cos(angle),
    ]
    past = []
    for name in signals:
        count = here.get(name, 0)
        found.append(float(count))
        past.append(float(totals.get(name, 0) - count))
    found += past
    found += more
    return tuple(found)


def inputs(facts: tuple[float, ...], fitted: Fitted, horizon: int) -> list[float]:
    """Logarithms, because counts and durations are skewed. Nothing is fitted beforehand."""
    return [compressed(fact) for fact in facts]


def refit(inputs: list[float], facts: tuple[float, ...], fitted: Fitted, horizon: int) -> list[float]:
    return inputs


def rule(signals: int, more: int = 0) -> Scorer:
    """What holds before anything has been learnt, version 0: the further along the way to an order a visitor
    is, the likelier one is, and likelier still of those who ordered before; whoever has just ordered is done.
    Weights that fit most shops roughly, from about 2 % of the visits up."""
    steps = [0.3 + 1.5 * place / max(1, signals - 1) for place in range(signals)]
    known = {"visit_events": 0.2, "ordered_before": 0.7, "ordered_in_visit": -4.0}
    weights = [known.get(name, 0.0) for name in FACTS] + steps + [0.0] * (signals + more)
    return Scorer(Linear(-4.0, weights, [0.0] * len(weights)), Fitted())


def subject(signals: int, more: int = 0) -> Subject:
    return Subject("intent", inputs, refit, lambda _: rule(signals, more), None)


def segment(facts: tuple[float, ...]) -> str:
    """The group that a visitor is evaluated with, besides all of them."""
    ordered, came = facts[_ORDERED], facts[_CAME]
    return "ordered before" if ordered else "came before" if came else "first visit"


_ORDERED, _CAME = list(FACTS).index("ordered_before"), list(FACTS).index("came_before")
