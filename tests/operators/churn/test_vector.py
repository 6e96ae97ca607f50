"""The numbers of a model against their plain definitions, term by term."""

from itertools import pairwise
from math import exp, expm1, isclose, log, log1p, sqrt
from statistics import fmean, pvariance

from hypothesis import given
from hypothesis import strategies as st

from operators.churn import customer, scoring, vector
from operators.churn.btyd import alive, comes_back, expected_purchases, expected_spend
from operators.churn.scoring import Linear, Scorer, probability, rule
from operators.churn.statistics import DAY, KEPT
from tests.operators.churn.people import MONTH, MONTHLY
from tests.properties.logs import law

HOUR = DAY // 24
logs = st.lists(
    st.tuples(st.integers(0, 500 * 24).map(lambda h: h * HOUR), st.integers(-500, 90_000)),
    min_size=1,
    max_size=KEPT,
)
weights = st.lists(st.floats(-2, 2), min_size=len(vector.INPUTS), max_size=len(vector.INPUTS))


def plain(log_: list[tuple[int, int]], at: int, horizon: int) -> dict[str, float]:
    """By the definitions, from all purchases: slow, and nothing is shared."""
    times = sorted(time for time, _ in log_)
    days = sorted({time // DAY for time in times})
    gaps = [b - a for a, b in pairwise(days)]
    spent = sum(value for _, value in log_) / 100
    last = max(log_)[1] / 100
    recency, tenure, span = ((at - times[-1]) / DAY, (at - times[0]) / DAY, (times[-1] - times[0]) / DAY)
    gap = fmean(gaps) if gaps else 0.0
    spread = sqrt(pvariance(gaps)) if gaps else 0.0

    def decayed(memory: float) -> float:
        return sum(exp((time - at) / (memory * DAY)) for time in times)

    def money(value: float) -> float:
        return log1p(value) if value > 0 else 0.0

    x, t_x = (len(days) - 1.0, span) if gaps else (0.0, 0.0)
    back = comes_back(rule().fitted.purchasing, x, t_x, float(int(tenure) + 1), horizon / DAY)
    return {
        "recency": log1p(recency),
        "purchases": log1p(len(times)),
        "purchase_days": log1p(len(days)),
        "tenure": log1p(tenure),
        "spent": money(spent),
        "average_value": money(spent / len(times)) if spent > 0 else 0.0,
        "last_value": money(last),
        "gap_mean": log1p(gap),
        "gap_spread": log1p(spread),
        "gap_ratio": min(log1p(recency / gap), 3.0) if gaps else 0.0,
        "gap_surprise": min((recency - gap) / (spread + 7), 5.0) if gaps else 0.0,
        "bought_once": float(not gaps),
        "activity": log(decayed(120) + 1e-3),
        "trend": log(decayed(40) + 1e-3) - log(decayed(120) + 1e-3),
        "burst": log1p(decayed(40 / 3)),
        "rate": log1p(30 * len(days) / (tenure + 90)),
        "same_season": log1p(sum(at - 365 * DAY <= time < at - 365 * DAY + horizon for time in times)),
        "silence": log((1 - back + 1e-4) / (back + 1e-4)),
    }


@law
@given(logs, st.integers(0, 400 * 24), weights, st.floats(0.5, 2), st.floats(-1, 1))
def test_a_score_is_what_its_definition_says(
    log_: list[tuple[int, int]], later: int, weighed: list[float], slope: float, shift: float
) -> None:
    churn = customer.empty()
    for time, value in log_:
        MONTHLY.bought(churn, time, value)
    at = max(time for time, _ in log_) + later * HOUR
    expected = plain(log_, at, MONTH.horizon)
    assert list(expected) == list(vector.INPUTS)
    facts = vector.facts(churn.bought, at, MONTH.horizon)
    found = vector.inputs(facts, rule().fitted, MONTH.horizon)
    for name, mine in zip(vector.INPUTS, found, strict=True):
        assert isclose(mine, expected[name], rel_tol=1e-9, abs_tol=1e-6), name
    scorer = Scorer(Linear(0.3, weighed, [0.5] * len(weighed)), rule().fitted, slope, shift, 7)
    odds = 0.3 + sum(weight * value for weight, value in zip(weighed, found, strict=True))
    score = MONTHLY.score(churn, "ann", at, (), scorer)
    assert isclose(score.probability, probability(slope * odds + shift), rel_tol=1e-9)
    assert vector.refit(found, facts, scorer.fitted, MONTH.horizon) == found


@law
@given(logs, st.lists(st.integers(1, 72), min_size=1, max_size=5))
def test_reasons_and_outlook_are_those_of_a_fresh_score_or_of_one_a_point_away(
    log_: list[tuple[int, int]], hours: list[int]
) -> None:
    churn = customer.empty()
    for time, value in log_:
        MONTHLY.bought(churn, time, value)
    at = max(time for time, _ in log_)
    for hour in hours:
        at += hour * HOUR
        found = MONTHLY.score(churn, "ann", at, (), rule())
        assert abs(found.probability - churn.explained) < customer.CHANGE
    churn.explained = -1.0
    fresh = MONTHLY.score(churn, "ann", at, (), rule())
    assert fresh.probability == found.probability
    MONTHLY.bought(churn, at, 100)
    after = MONTHLY.score(churn, "ann", at, (), rule())
    assert after.next_purchase_at > at


def test_what_to_expect_is_what_the_population_models_say() -> None:
    churn = customer.empty()
    for day in (0, 30, 60):
        MONTHLY.bought(churn, day * DAY, 2_000)
    facts = vector.facts(churn.bought, 80 * DAY, MONTH.horizon)
    fitted = scoring.rule().fitted
    purchases, value, _ = vector.outlook(facts, fitted, 80 * DAY, MONTH.horizon)
    assert purchases == expected_purchases(fitted.purchasing, 2, 60, 81, 30)
    assert value == purchases * expected_spend(fitted.spending, 3, 20.0)
    silence = vector.inputs(facts, fitted, MONTH.horizon)[-1]
    assert 0 < 1 / (1 + exp(silence)) < alive(fitted.purchasing, 2, 60, 81) < 1 < 1 + expm1(silence + 9)
