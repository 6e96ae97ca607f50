"""What a model knows of somebody who is there: facts at a moment, and the numbers made of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, log1p, pi, sin

from operators.churn.scoring import Linear, Scorer
from operators.churn.subject import Subject
from operators.churn.vector import Fitted

# Seconds in and between, hours away, days known; the hour of the day (UTC) as a point on a circle.
FACTS = (
    "visit_seconds", "visit_events", "seconds_between", "quiet_seconds", "came_before", "hours_away",
    "days_known", "orders", "ordered_before", "days_since_order", "hour_sine", "hour_cosine",
)  # fmt: skip
HOUR, DAY = 3_600_000, 86_400_000  # ms


def facts(
    seen: Sequence[tuple[int, str]], totals: dict[str, int], first: int, orders: int, ordered_at: int,
    at: int, gap: int, signals: Sequence[str], more: Sequence[float] = (),
) -> tuple[float, ...]:  # fmt: skip
    """FACTS, each signal in this visit and before it, and `more`, at `at` (ms). `seen`: (time, signal) of
    the newest, ascending, none after `at`; `totals` of all. `orders`, the last at `ordered_at`."""
    start = at
    events = 0
    here = dict.fromkeys(signals, 0)
    before = -1
    for time, signal in reversed(seen):
        if start - time > gap:
            before = time
            break
        start = time
        events += 1
        if signal in here:
            here[signal] += 1
    newest = seen[-1][0] if events else at
    angle = at % DAY / DAY * 2 * pi
    return (
        (at - start) / 1000, float(events), (newest - start) / 1000 / max(1, events - 1),
        (at - newest) / 1000,
        float(before >= 0), (start - before) / HOUR if before >= 0 else 0.0,
        max(0, at - first) / DAY if first >= 0 else 0.0,
        float(orders), float(orders > 0), (at - ordered_at) / DAY if orders else 0.0,
        sin(angle), cos(angle),
        *(float(here[name]) for name in signals),
        *(float(totals.get(name, 0) - here[name]) for name in signals),
        *more,
    )  # fmt: skip


def inputs(facts: Sequence[float], fitted: Fitted, horizon: int) -> list[float]:
    """Logarithms, because counts and durations are skewed. Nothing is fitted beforehand."""
    return [log1p(fact) if fact >= 0 else -log1p(-fact) for fact in facts]


def refit(inputs: list[float], facts: Sequence[float], fitted: Fitted, horizon: int) -> list[float]:
    return inputs


def rule(signals: int, more: int = 0) -> Scorer:
    """What holds before anything has been learnt, version 0: the further along the way to an order a visitor
    is, the likelier one is, and likelier still of those who ordered before. Weights that fit most shops
    roughly, from about 2 % of the visits up."""
    steps = [0.3 + 1.5 * place / max(1, signals - 1) for place in range(signals)]
    known = {"visit_events": 0.2, "ordered_before": 0.7}
    weights = [known.get(name, 0.0) for name in FACTS] + steps + [0.0] * (signals + more)
    return Scorer(Linear(-4.0, weights, [0.0] * len(weights)), Fitted())


def subject(signals: int, more: int = 0) -> Subject:
    return Subject("intent", inputs, refit, lambda _: rule(signals, more), None)


def segment(facts: Sequence[float]) -> str:
    """The group that a visitor is evaluated with, besides all of them."""
    ordered, came = facts[FACTS.index("ordered_before")], facts[FACTS.index("came_before")]
    return "ordered before" if ordered else "came before" if came else "first visit"
