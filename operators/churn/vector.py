"""What a model knows of a customer: facts at a moment, and the numbers models compute from them.

`facts` is the snapshot that waits for its label. It holds nothing of any model, so that every model,
also one that did not exist yet, can be fed with it. `inputs` turns it into the numbers of one model,
with the BG/NBD and gamma-gamma parameters that belong to that model. Nearly all are logarithms: counts,
money and times are skewed, and a model that is linear in logarithms compares ratios.

Facts and inputs have a fixed order, given by FACTS and INPUTS; what the playbook adds follows at the end
of both, in its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, expm1, log, log1p, sqrt
from typing import NamedTuple

from operators.churn.btyd import Purchasing, Spending, expected_purchases, expected_spend
from operators.churn.statistics import DAY, Statistics

FOUR_MONTHS = 120 * DAY
FACTS = (
    "recency", "purchases", "days_with_purchase", "first_to_last", "tenure", "spent", "last_value",
    "gap_mean", "gap_spread", "weight_13d", "weight_40d", "weight_120d", "same_season",
)  # fmt: skip

# name -> in words: (when it raises the risk by being large, by being small)
INPUTS = {
    "recency": ("long since the last purchase", "bought recently"),
    "purchases": ("many purchases", "few purchases"),
    "purchase_days": ("bought on many days", "bought on few days"),
    "tenure": ("customer for long", "customer for a short time only"),
    "spent": ("spent much in all", "spent little in all"),
    "average_value": ("large purchases on average", "small purchases on average"),
    "last_value": ("the last purchase was large", "the last purchase was small"),
    "gap_mean": ("long time between purchases", "short time between purchases"),
    "gap_spread": ("irregular purchases", "regular purchases"),
    "gap_ratio": ("quiet for longer than usual", "not quiet for longer than usual"),
    "gap_surprise": ("the silence is unusual for this customer", "the silence is usual for this customer"),
    "bought_once": ("bought only once", "bought more than once"),
    "activity": ("active over the last months", "inactive over the last months"),
    "trend": ("buying more than before", "buying less than before"),
    "burst": ("bought in the last two weeks", "not bought in the last two weeks"),
    "rate": ("buys often for the time known", "buys rarely for the time known"),
    "same_season": ("bought at this time of last year", "did not buy at this time of last year"),
    "expected_purchases": ("many purchases to expect", "few purchases to expect"),
    "expected_value": ("much spending to expect", "little spending to expect"),
}
GROUPS = (  # of inputs that say nearly the same
    ("recency", "gap_ratio", "gap_surprise", "activity", "trend", "burst"),
    ("purchases", "purchase_days", "bought_once", "rate", "expected_purchases"),
    ("spent", "average_value", "last_value", "expected_value"),
    ("gap_mean", "gap_spread"),
)
EXPECTED, WORTH = list(INPUTS).index("expected_purchases"), list(INPUTS).index("expected_value")
FLOOR = 1e-3  # of decayed counts: what is left of a purchase after seven half-years of silence and more


Population = tuple[float, float, float, float, float]


class Fitted(NamedTuple):
    """Population parameters that a model's inputs are computed with. Times in days, money in major units."""

    purchasing: Purchasing = Purchasing(0.5, 30.0, 1.0, 3.0)
    spending: Spending = Spending(6.0, 4.0, 15.0)


class Outlook(NamedTuple):
    """What to expect within the horizon: purchases and their value in all; and when the next is due if
    the customer is still there (ms)."""

    purchases: float
    value: float
    next_at: int


def facts(statistics: Statistics, at: int, horizon: int, more: Sequence[float] = ()) -> tuple[float, ...]:
    """FACTS and `more` at `at` (ms), from purchases up to then. Days, major units; needs one purchase.

    The caller sees to it that `statistics` holds nothing later than `at`; see `customer.facts`.
    """
    newest = statistics.latest[0]
    first = statistics.first
    times = statistics.times
    day = times[0] // DAY
    days, gaps, squares, seasonal = 1, 0, 0, 0
    weeks = month = season = 0.0
    last_year = at - 365 * DAY
    for time in times:
        gap = time // DAY - day
        if gap:
            days += 1
            gaps += gap
            squares += gap * gap
            day += gap
        weight = exp((time - at) / FOUR_MONTHS)
        cube = weight * weight * weight  # one exponential and its powers: half the time of three
        season += weight
        month += cube
        weeks += cube * cube * cube
        if last_year <= time < last_year + horizon:
            seasonal += 1
    mean = spread = 0.0
    count = 1.0
    if gaps:
        mean = gaps / (days - 1)
        spread = sqrt(max(0.0, squares / (days - 1) - mean * mean))
        # Of purchases older than the times kept, as many are taken to share a day as of the newer ones.
        count = days * (statistics.count / len(times))
    return (
        (at - newest) / DAY, float(statistics.count), count, (newest - first) / DAY, (at - first) / DAY,
        statistics.total / 100, statistics.latest[1] / 100, mean, spread, weeks, month, season,
        float(seasonal), *more,
    )  # fmt: skip


def inputs(facts: Sequence[float], fitted: Fitted, horizon: int) -> list[float]:
    """The numbers of a model, in the order of INPUTS and then of what the playbook adds."""
    recency, purchases, days, _, tenure, spent, last, gap, spread = facts[:9]
    weeks, month, season, seasonal, *more = facts[9:]
    once = days < 2
    lasting = log(season + FLOOR)
    found = [
        log1p(recency),
        log1p(purchases),
        log1p(days),
        log1p(tenure),
        log1p(spent) if spent > 0 else 0.0,
        log1p(spent / purchases) if spent > 0 else 0.0,
        log1p(last) if last > 0 else 0.0,
        log1p(gap),
        log1p(spread),
        0.0 if once else min(log1p(recency / gap), 3.0),
        0.0 if once else min((recency - gap) / (spread + 7), 5.0),
        1.0 if once else 0.0,
        lasting,
        log(month + FLOOR) - lasting,
        log1p(weeks),
        log1p(30 * days / (tenure + 90)),
        log1p(seasonal),
        *_expected(facts, fitted, horizon),
    ]
    for value in more:
        found.append(log1p(value) if value > 0 else -log1p(-value))
    return found


def refit(inputs: Sequence[float], facts: Sequence[float], fitted: Fitted, horizon: int) -> list[float]:
    """`inputs` as they are with other fitted parameters; half the time of making them anew."""
    found = list(inputs)
    found[EXPECTED], found[WORTH] = _expected(facts, fitted, horizon)
    return found


def _expected(facts: Sequence[float], fitted: Fitted, horizon: int) -> tuple[float, float]:
    _, purchases, days, span, tenure, spent = facts[:6]
    expected = expected_purchases(
        fitted.purchasing, days - 1, 0.0 if days < 2 else span, float(int(tenure) + 1), horizon / DAY
    )
    average = spent / purchases if spent > 0 else 0.0
    worth = expected * expected_spend(fitted.spending, purchases, average)
    return log1p(expected), log1p(worth) if worth > 0 else 0.0


def outlook(facts: Sequence[float], inputs: Sequence[float], fitted: Fitted, at: int) -> Outlook:
    """What to expect of the customer at `at` (ms) within the horizon that `inputs` were made for."""
    recency, _, days, _, tenure, _ = facts[:6]
    wait = (fitted.purchasing.alpha + tenure) / (fitted.purchasing.r + days - 1)  # one over their rate
    return Outlook(expm1(inputs[EXPECTED]), expm1(inputs[WORTH]), at + int(max(1.0, wait - recency) * DAY))


def population(facts: Sequence[float]) -> Population:
    """What the populations are fitted to: (x, t_x, T) and (purchases, their mean value)."""
    _, purchases, days, span, tenure, spent = facts[:6]
    once = days < 2
    return (
        0.0 if once else days - 1,
        0.0 if once else span,
        float(int(tenure) + 1),
        purchases,
        max(spent, 0.0) / purchases,
    )


def words(more: Sequence[str] = ()) -> dict[str, tuple[str, str]]:
    """Of each input, with `more` of the playbook's, what to say when it is large and when it is small."""
    return {**INPUTS, **{name: (f"high {name}", f"low {name}") for name in more}}


def segment(facts: Sequence[float]) -> str:
    """The group that a customer is evaluated with, besides all of them."""
    purchases = facts[1]
    return "bought once" if purchases < 2 else "2 to 4 purchases" if purchases < 5 else "5 or more purchases"
