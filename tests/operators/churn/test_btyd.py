"""Against the figures of the papers."""

import numpy as np
import pytest

from operators.churn.btyd import alive, comes_back, expected_purchases, expected_spend
from operators.churn.fitting import fit_purchasing, fit_spending
from operators.churn.parts import Purchasing, Spending
from operators.churn.statistics import DAY
from tests.operators.churn.people import shop

# Fader, Hardie and Lee 2005, table 2; weeks. Their b, less the one by which the models differ.
CDNOW = Purchasing(0.243, 4.414, 0.793, 1.426)


def test_expected_purchases_are_those_of_the_papers_example() -> None:
    # Customer 1 of the paper's spreadsheet: x = 2, t_x = 30.43, T = 38.86, the next 39 weeks.
    assert expected_purchases(CDNOW, 2, 30.43, 38.86, 39) == pytest.approx(1.226, abs=5e-4)


@pytest.mark.parametrize(("x", "t_x", "T", "t"), [(0, 0, 10, 5), (2, 30.43, 38.86, 39), (9, 12, 60, 4)])
def test_who_comes_back_is_the_mean_over_all_customers_it_could_be(
    x: float, t_x: float, T: float, t: float
) -> None:
    model = Purchasing(1.7, 9.0, 1.6, 2.2)
    rate, leaves = np.meshgrid(np.linspace(1e-6, 3, 3_000), np.linspace(1e-6, 1 - 1e-6, 500))
    prior = rate ** (model.r - 1) * np.exp(-model.alpha * rate)
    prior *= leaves ** (model.a - 1) * (1 - leaves) ** (model.b - 1)
    there = prior * rate**x * (1 - leaves) ** (x + 1) * np.exp(-rate * T)
    seen = there + prior * rate**x * (1 - leaves) ** x * leaves * np.exp(-rate * t_x)
    assert alive(model, x, t_x, T) == pytest.approx(there.sum() / seen.sum(), rel=1e-3)
    back = (there * (1 - np.exp(-rate * t))).sum() / seen.sum()
    assert comes_back(model, x, t_x, T, t) == pytest.approx(back, rel=1e-3)


def test_who_bought_once_may_have_left() -> None:
    assert alive(CDNOW, 0, 0, 10) > alive(CDNOW, 0, 0, 1_000) > 0
    assert expected_purchases(CDNOW, 0, 0, 1_000, 39) < 0.05


def test_many_purchases_do_not_overflow() -> None:
    model = Purchasing(0.68, 57, 0.32, 6.5)
    assert 0 < expected_purchases(model, 20_000, 364, 365, 60) < 10_000
    assert comes_back(model, 20_000, 10, 365, 60) == pytest.approx(0.0)


def test_a_parameter_of_one_is_the_limit_of_its_neighbours() -> None:
    one, near = (expected_purchases(Purchasing(0.2, 9, a, 2), 3, 50, 70, 30) for a in (1.0, 1.0001))
    assert one == pytest.approx(near, rel=1e-3)


def test_expected_spend_lies_between_the_customers_average_and_everybodys() -> None:
    cdnow = Spending(6.25, 3.74, 15.44)  # Fader and Hardie 2013
    everybody = 6.25 * 15.44 / 2.74
    assert expected_spend(cdnow, 1, 100.0) == pytest.approx(6.25 * (15.44 + 100) / (6.25 + 2.74))
    assert everybody < expected_spend(cdnow, 1, 100.0) < expected_spend(cdnow, 9, 100.0) < 100


def test_a_fit_finds_what_more_likely_customers_have() -> None:
    eager = [(9.0, 90.0, 100.0), (7.0, 95.0, 100.0), (8.0, 80.0, 100.0)] * 20
    idle = [(0.0, 0.0, 100.0), (1.0, 20.0, 100.0), (0.0, 0.0, 100.0)] * 20
    start = Purchasing(0.5, 30.0, 1.0, 3.0)
    busy, calm = fit_purchasing(eager, start), fit_purchasing(idle, start)
    assert expected_purchases(busy, 8, 90, 100, 30) > 20 * expected_purchases(calm, 0, 0, 100, 30)
    small = fit_spending([(3.0, 10.0), (5.0, 12.0), (2.0, 9.0)] * 20, Spending(6, 4, 15))
    assert 8 < expected_spend(small, 0, 0.0) < 14


def test_generated_shops_have_both_kinds_of_people() -> None:
    log = shop(80, 200)
    assert {at // DAY for at, _, _ in log} <= set(range(201))
