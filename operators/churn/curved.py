"""Logistic regression on curves and on crosses with flags, learnt one example at a time.

Each number gets a curve that is straight between knots (a linear spline), each flag that is neither rare
nor nearly always up gets a slope of its own for every number ("on a weekend each minute counts less").
Both are fixed after the first FIRST labels, from what was seen in them; until then it is
`RecursiveLogistic` on the inputs as they are. Then those labels are learnt again, so none is lost.
"""

from __future__ import annotations

import msgspec
import numpy as np

from operators.churn.recursive import RecursiveLogistic, Weights
from operators.churn.scoring import Curves, Function, Linear

FIRST = 500  # labels from which knots and crosses are chosen
KNOTS = 5  # of a curve, at equal shares of the labels
RARE = 0.01  # a flag up in fewer of the first labels, or down, is not crossed
CROSSES = 160  # at most, of the first flags in their order; a label takes time with the square of all terms
PRIOR = 0.01  # variance of a weight: a third of the plain model's, for there are many more of them
CROSS = 0.003  # that of a cross: there are more of these still


class Kept(msgspec.Struct, array_like=True):
    """`first`: inputs and label of the first ones, while there are fewer than FIRST. Afterwards `bends`
    (input, knot) and `crosses` (flag, number) are what the weights belong to, after the inputs."""

    weights: Weights
    first: list[tuple[list[float], bool]]
    bends: list[tuple[int, float]]
    crosses: list[tuple[int, int]]


class CurvedLogistic:
    def __init__(self, size: int) -> None:
        self.size = size
        self.model = RecursiveLogistic(_names(size))
        self.first: list[tuple[list[float], bool]] = []
        self.bends: list[tuple[int, float]] = []
        self.crosses: list[tuple[int, int]] = []
        self._places()

    def learn(self, x: np.ndarray, label: bool) -> None:
        if not self.bends and not self.crosses:
            self.model.learn(x, label)
            self.first.append((x.tolist(), label))
            if len(self.first) == FIRST:
                self._choose(np.array([row for row, _ in self.first]))
        else:
            self.model.learn(self._terms(x), label)

    def function(self) -> Function:
        bias, weights, means = self.model.linear()
        if not self.bends and not self.crosses:
            return Linear(bias, weights, means)
        return Curves(bias, weights, means, self.size, self.bends, self.crosses)

    def keep(self) -> Kept:
        return Kept(self.model.keep(), self.first, self.bends, self.crosses)

    def restore(self, kept: Kept) -> None:
        """Raises ValueError when it is of other inputs."""
        self.first, self.bends, self.crosses = [*kept.first], [*kept.bends], [*kept.crosses]
        self._places()
        if self.bends or self.crosses:
            self.model = self._empty()
        self.model.restore(kept.weights)

    def _choose(self, rows: np.ndarray) -> None:
        """Knots and crosses, and all of the first labels once more."""
        flags = [place for place in range(self.size) if _is_flag(rows[:, place])]
        numbers = [place for place in range(self.size) if place not in flags]
        shares = np.linspace(0, 1, KNOTS + 2)[1:-1]
        for place in numbers:
            self.bends += [(place, float(knot)) for knot in np.unique(np.quantile(rows[:, place], shares))]
        up = {flag: float((rows[:, flag] > 0).mean()) for flag in flags}
        often = [flag for flag in flags if RARE <= up[flag] <= 1 - RARE]
        self.crosses = [(flag, number) for flag in often for number in numbers][:CROSSES]
        self._places()
        if self.bends or self.crosses:
            self.model = self._empty()
            for row, label in self.first:
                self.model.learn(self._terms(np.array(row)), label)
        self.first = []

    def _empty(self) -> RecursiveLogistic:
        plain = self.size + len(self.bends)
        prior = np.array([PRIOR] * plain + [CROSS] * len(self.crosses))
        return RecursiveLogistic(_names(plain + len(self.crosses)), prior)

    def _places(self) -> None:
        self._bent = np.array([place for place, _ in self.bends], dtype=int)
        self._knots = np.array([knot for _, knot in self.bends])
        self._flags = np.array([flag for flag, _ in self.crosses], dtype=int)
        self._numbers = np.array([number for _, number in self.crosses], dtype=int)

    def _terms(self, x: np.ndarray) -> np.ndarray:
        bent = np.maximum(x[self._bent] - self._knots, 0.0)
        return np.concatenate([x, bent, x[self._flags] * x[self._numbers]])


def _is_flag(column: np.ndarray) -> bool:
    """Zero, or one other value."""
    values = np.unique(column)
    return len(values) <= 2 and values[0] == 0.0


def _names(size: int) -> tuple[str, ...]:
    return tuple(map(str, range(size)))
