"""Curves and crosses: what the plain model cannot see, and the same numbers wherever they are computed."""

from random import Random

import numpy as np
import pytest

from operators.churn.curved import FIRST, CurvedLogistic
from operators.churn.recursive import RecursiveLogistic
from operators.churn.scoring import Curves, build, probability


def rows(count: int, seed: int = 1) -> list[tuple[list[float], bool]]:
    """Likely in the middle of the first number; the second counts only where the flag is up."""
    dice = Random(seed)
    found = []
    for _ in range(count):
        x, y, flag = dice.gauss(0, 1), dice.gauss(0, 1), float(dice.random() < 0.4)
        odds = 2 - 3 * abs(x) + 2.5 * flag * y
        found.append(([x, y, flag], dice.random() < probability(odds)))
    return found


def loss(odds: float, label: bool) -> float:
    return -float(np.log(max(1e-9, probability(odds if label else -odds))))


def learnt(count: int) -> CurvedLogistic:
    model = CurvedLogistic(3)
    for row, label in rows(count):
        model.learn(np.array(row), label)
    return model


def test_it_learns_what_a_straight_model_cannot() -> None:
    curved, straight = learnt(3_000), RecursiveLogistic(("x", "y", "flag"))
    for row, label in rows(3_000):
        straight.learn(np.array(row), label)
    bias, weights, _ = straight.linear()
    function = curved.function()
    fresh = rows(1_000, seed=2)
    mine = sum(loss(function.raw(row), label) for row, label in fresh) / 1_000
    plain = sum(loss(bias + float(np.dot(weights, row)), label) for row, label in fresh) / 1_000
    assert mine < plain - 0.1


def test_the_first_labels_are_not_lost_and_nothing_is_curved_before_them() -> None:
    before, after = learnt(FIRST - 1), learnt(FIRST)
    assert before.function().plain()["kind"] == "linear"
    assert after.function().plain()["kind"] == "curves"
    kept = after.keep().weights
    assert kept.n + len(kept.block) == FIRST
    assert after.first == []


def test_a_published_function_scores_as_the_terms_it_was_learnt_on() -> None:
    model = learnt(FIRST + 200)
    function = build(model.function().plain())
    assert isinstance(function, Curves)
    bias, weights, means = model.model.linear()
    average = bias + float(np.dot(weights, means))
    for row, _ in rows(50, seed=3):
        expected = bias + float(np.dot(weights, model._terms(np.array(row))))
        assert function.raw(row) == pytest.approx(expected)
        assert sum(function.moves(row)) + average == pytest.approx(expected)


def test_what_is_kept_goes_on_as_if_nothing_had_been() -> None:
    for count in (FIRST - 10, FIRST + 100):
        model, again = learnt(count), CurvedLogistic(3)
        again.restore(model.keep())
        for row, label in rows(50, seed=4):
            model.learn(np.array(row), label)
            again.learn(np.array(row), label)
        assert again.function().plain() == model.function().plain()


def test_inputs_that_never_change_get_neither_curve_nor_cross() -> None:
    model = CurvedLogistic(2)
    for number in range(FIRST + 10):
        model.learn(np.array([0.0, 0.0]), number % 3 == 0)
    assert model.function().plain()["kind"] == "linear"
