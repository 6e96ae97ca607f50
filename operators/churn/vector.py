"""What a model knows of a customer: facts at a moment, and the numbers models compute from them.

`facts` is the snapshot that waits for its label. It holds nothing of any model, so that every model,
also one that did not exist yet, can be fed with it. `inputs` turns it into the numbers of one model,
with the MBG/NBD and gamma-gamma parameters that belong to that model. Nearly all are logarithms: counts,
money and times are skewed, and a model that is linear in logarithms compares ratios.

Facts and inputs have a fixed order, given by FACTS and INPUTS; what the playbook adds follows at the end
of both, in its order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import exp, log, log1p, sqrt
from typing import Final

from operators.churn.btyd import comes_back, expected_purchases, expected_spend
from operators.churn.parts import Fitted, Statistics
from operators.churn.statistics import DAY

FOUR_MONTHS: Final = 120 * DAY
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
    "silence": ("few purchases to expect", "many purchases to expect"),
}
GROUPS = (  # of inputs that say nearly the same
    ("recency", "gap_ratio", "gap_surprise", "activity", "trend", "burst"),
    ("purchases", "purchase_days", "bought_once", "rate", "silence"),
    ("spent", "average_value", "last_value"),
    ("gap_mean", "gap_spread"),
)
SILENCE = "silence"  # the MBG/NBD's own log-odds that somebody stays away for the horizon
_SILENCE: Final = list(INPUTS).index(SILENCE)
_log1p: Final = log1p  # compiled, an imported name is looked up at every call, and this one is called often
FLOOR: Final = 1e-3  # of decayed counts: what is left of a purchase after seven times four months of silence
SURE: Final = 1e-4  # of probabilities: nothing is more certain than that


Population = tuple[float, float, float, float, float]


def facts(statistics: Statistics, at: int, horizon: int, more: Sequence[float] = ()) -> tuple[float, ...]:
    """FACTS and `more` at `at` (ms), from purchases up to then. Days, major units; needs one purchase.

    The caller sees to it that `statistics` holds nothing later than `at`; see `customer.score`.
    """
    newest, last = statistics.latest
    first, count, times = statistics.first, statistics.count, statistics.times
    day = times[0] // DAY
    days, gaps, squares = 1, 0, 0
    weeks = month = season = 0.0
    in_season = in_month = in_weeks = 0.0
    before = times[0] - 1
    for time in times:
        if time != before:  # lines of one invoice are of one moment
            before = time
            # One exponential and its powers: half the time of three.
            in_season = exp((time - at) / FOUR_MONTHS)
            in_month = in_season * (in_season * in_season)
            in_weeks = in_month * in_month * in_month
            gap = time // DAY - day
            if gap:
                days += 1
                gaps += gap
                squares += gap * gap
                day += gap
        season += in_season
        month += in_month
        weeks += in_weeks
    mean = spread = 0.0
    of_all = 1.0
    if gaps:
        mean = gaps / (days - 1)
        variance = squares / (days - 1) - mean * mean
        spread = sqrt(variance) if variance > 0 else 0.0
        # Of purchases older than the times kept, as many are taken to share a day as of the newer ones.
        of_all = days * (count / len(times))
    seasonal, last_year = 0, at - 365 * DAY
    if first < last_year + horizon:
        seasonal = bisect_left(times, last_year + horizon) - bisect_left(times, last_year)
    return (
        (at - newest) / DAY, float(count), of_all, (newest - first) / DAY, (at - first) / DAY,
        statistics.total / 100, last / 100, mean, spread, weeks, month, season,
        float(seasonal), *more,
    )  # fmt: skip


def inputs(facts: tuple[float, ...], fitted: Fitted, horizon: int) -> list[float]:
    """The numbers of a model, in the order of INPUTS and then of what the playbook adds."""
    (
        recency, purchases, days, span, tenure, spent, last, gap, spread, weeks, month, season, seasonal,
        *more,
    ) = facts  # fmt: skip
    once = days < 2
    ratio = 0.0 if once else compressed(recency / gap)
    surprise = 0.0 if once else (recency - gap) / (spread + 7)
    activity = log(season + FLOOR)
    found = [
        compressed(recency),
        compressed(purchases),
        compressed(days),
        compressed(tenure),
        compressed(spent) if spent > 0 else 0.0,
        compressed(spent / purchases) if spent > 0 else 0.0,
        compressed(last) if last > 0 else 0.0,
        compressed(gap),
        compressed(spread),
        ratio if ratio < 3.0 else 3.0,
        surprise if surprise < 5.0 else 5.0,
        1.0 if once else 0.0,
        activity,
        log(month + FLOOR) - activity,
        compressed(weeks),
        compressed(30 * days / (tenure + 90)),
        compressed(seasonal),
        _silence(days, span, tenure, fitted, horizon),
    ]
    for value in more:
        found.append(compressed(value))
    return found


def compressed(value: float) -> float:
    """The logarithm of a count, a duration or money, which may be none, and of what is below none the same
    mirrored."""
    if value > 0:
        return _log1p(value)
    if value < 0:
        return -_log1p(-value)
    return value


def refit(inputs: list[float], facts: tuple[float, ...], fitted: Fitted, horizon: int) -> list[float]:
    """`inputs` as they are with other fitted parameters; a fourth of the time of making them anew."""
    found = list(inputs)
    _, _, days, span, tenure = facts[:5]
    found[_SILENCE] = _silence(days, span, tenure, fitted, horizon)
    return found


def _silence(days: float, span: float, tenure: float, fitted: Fitted, horizon: int) -> float:
    x, t_x, age = _repeats(days, span, tenure)
    back = comes_back(fitted.purchasing, x, t_x, age, horizon / DAY)
    return log((1 - back + SURE) / (back + SURE))


def _repeats(days: float, span: float, tenure: float) -> tuple[float, float, float]:
    """(x, t_x, T) of MBG/NBD. Whole days, rounded up: so customers share what is expected of them."""
    age = float(int(tenure) + 1)
    return (0.0, 0.0, age) if days < 2 else (days - 1, span, age)


def outlook(facts: tuple[float, ...], fitted: Fitted, at: int, horizon: int) -> tuple[float, float, int]:
    """What to expect of the customer at `at` (ms) within the horizon (ms): purchases, their value in all, and
    when the next is due if they are still there (ms)."""
    recency, purchases, days, span, tenure, spent = facts[:6]
    x, t_x, age = _repeats(days, span, tenure)
    expected = expected_purchases(fitted.purchasing, x, t_x, age, horizon / DAY)
    worth = expected * expected_spend(fitted.spending, purchases, max(spent, 0.0) / purchases)
    wait = (fitted.purchasing.alpha + tenure) / (fitted.purchasing.r + x)  # one over their rate
    return expected, worth, at + int(max(1.0, wait - recency) * DAY)


def population(facts: tuple[float, ...]) -> Population:
    """What the populations are fitted to: (x, t_x, T) and (purchases, their mean value)."""
    _, purchases, days, span, tenure, spent = facts[:6]
    return *_repeats(days, span, tenure), purchases, max(spent, 0.0) / purchases


def words(more: Sequence[str] = ()) -> dict[str, tuple[str, str]]:
    """Of each input, with `more` of the playbook's, what to say when it is large and when it is small."""
    return INPUTS | words_of_features(more)


def words_of_features(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """What to say of features of the playbook, of which nothing but the name is known."""
    return {name: (f"high {name}", f"low {name}") for name in names}


def segment(facts: tuple[float, ...]) -> str:
    """The group that a customer is evaluated with, besides all of them."""
    purchases = facts[1]
    return "bought once" if purchases < 2 else "2 to 4 purchases" if purchases < 5 else "5 or more purchases"
