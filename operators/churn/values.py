"""How much is expected of a customer compared with the others.

A model carries percentiles of the expected value over the customers that it was taught by, so that what a
high value is follows from the order like everything else: no shard has to know the customers of the others.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from operators.churn.btyd import expected_purchases, expected_spend
from operators.churn.parts import Fitted
from operators.churn.statistics import DAY
from operators.churn.vector import Population

PARTS = 100
MOST = 500  # customers looked at: the share above the highest tenth is then known to 1.3 points
LEAST = 50


def percentiles(people: Sequence[Population], fitted: Fitted, horizon: int) -> list[float]:
    """The expected value that 1, 2, ... 99 % of customers do not reach, in major units within the horizon
    (ms); empty while few are known."""
    if len(people) < LEAST:
        return []
    found = sorted(
        expected_purchases(fitted.purchasing, x, t_x, age, horizon / DAY)
        * expected_spend(fitted.spending, count, mean)
        for x, t_x, age, count, mean in people[:: max(1, len(people) // MOST)]
    )
    return [found[len(found) * part // PARTS] for part in range(1, PARTS)]


def rank(percentiles: Sequence[float], value: float) -> float:
    """The share of customers of whom less is expected, 0 to 0.99; -1 where that is not known.

    >>> rank([float(part) for part in range(1, 100)], 90.0), rank([], 90.0)
    (0.9, -1.0)
    """
    return bisect_right(percentiles, value) / PARTS if percentiles else -1.0
