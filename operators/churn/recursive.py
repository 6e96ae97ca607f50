"""Logistic regression learnt one example at a time with second-order steps, as a River classifier.

A Kalman filter for the weights, the extended one with the logistic function linearised at the current
estimate (Fahrmeir, Journal of the American Statistical Association 87, 1992). It needs no learning rate: the
step is the posterior covariance, which shrinks as labels come. With `memory` below 1 old labels count
less, so that the weights can follow a changing world.

Inputs are standardised online; a variance of FLOOR is added, so that an input that hardly ever moves
does not shake the score when it does.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import msgspec
import numpy as np
from river import base

FLOOR = 0.01
WARM = 50  # labels that only teach means and variances


class Weights(msgspec.Struct, array_like=True):
    """All that a RecursiveLogistic has learnt. `covariance` row by row."""

    n: int
    means: list[float]
    squares: list[float]
    weights: list[float]
    covariance: list[float]


class RecursiveLogistic(base.Classifier):
    """Parameters
    ----------
    inputs
        Names of the inputs, their order is the order of the weights.
    prior
        Variance of a weight before anything was learnt, in log-odds per standard deviation, squared.
    memory
        Factor on the certainty of the weights at each label; 1 forgets nothing.
    """

    def __init__(self, inputs: tuple[str, ...], prior: float = 0.03, memory: float = 1.0) -> None:
        self.inputs = inputs
        self.prior = prior
        self.memory = memory
        size = len(inputs)
        self.n = 0
        self.means = np.zeros(size)
        self.squares = np.zeros(size)
        self.weights = np.zeros(size + 1)
        self.covariance = np.eye(size + 1) * prior
        self.covariance[0, 0] = 1.0  # the base rate is learnt faster
        # Results go where there is room already: a third of the time of making arrays anew.
        self._off = np.zeros(size)
        self._scale = np.zeros(size)
        self._reach = np.zeros(size + 1)
        self._change = np.zeros((size + 1, size + 1))
        self._z = np.ones(size + 1)

    def predict_proba_one(self, x: dict[Hashable, Any], **_: Any) -> dict[bool | str | int, float]:
        z = self._standardised(np.array([x[name] for name in self.inputs]))
        p = _sigmoid(float(self.weights @ z))
        return {False: 1 - p, True: p}

    def learn_one(self, x: dict[Hashable, Any], y: bool | str | int) -> None:
        self.learn(np.array([x[name] for name in self.inputs]), bool(y))

    def learn(self, x: np.ndarray, y: bool) -> None:
        """As learn_one, from the inputs in their order."""
        self.n += 1
        off, scale = self._off, self._scale
        np.subtract(x, self.means, out=off)
        np.divide(off, self.n, out=scale)
        self.means += scale
        np.subtract(x, self.means, out=scale)
        off *= scale
        self.squares += off
        if self.n <= WARM:
            return
        z = self._standardised(x)
        reach, change = self._reach, self._change
        p = _sigmoid(float(self.weights.dot(z)))
        certainty = p * (1 - p)
        np.dot(self.covariance, z, out=reach)
        gain = 1 / (1 + certainty * float(z.dot(reach)))
        np.multiply(reach[:, None], reach, out=change)
        change *= certainty * gain
        self.covariance -= change
        if self.memory < 1:
            self.covariance /= self.memory
        reach *= gain * (float(y) - p)
        self.weights += reach

    def linear(self) -> tuple[float, list[float], list[float]]:
        """Bias and weights for inputs as they come, and the inputs' means."""
        scale = np.sqrt(self.squares / max(self.n, 1) + FLOOR)
        weights = self.weights[1:] / scale
        bias = float(self.weights[0]) - float(weights @ self.means)
        return bias, weights.tolist(), self.means.tolist()

    def keep(self) -> Weights:
        return Weights(
            self.n, self.means.tolist(), self.squares.tolist(), self.weights.tolist(),
            self.covariance.ravel().tolist(),
        )  # fmt: skip

    def restore(self, kept: Weights) -> None:
        """Go on from what was kept. Raises ValueError when it is of other inputs."""
        self.n = kept.n
        for mine, theirs in (
            (self.means, kept.means), (self.squares, kept.squares), (self.weights, kept.weights),
            (self.covariance.reshape(-1), kept.covariance),
        ):  # fmt: skip
            if len(mine) != len(theirs):
                raise ValueError(f"{len(theirs)} numbers where there are {len(mine)}")
            mine[:] = theirs

    def _standardised(self, x: np.ndarray) -> np.ndarray:
        """With a one in front. The same array each time."""
        scale, z = self._scale, self._z
        np.divide(self.squares, max(self.n, 1), out=scale)
        scale += FLOOR
        np.sqrt(scale, out=scale)
        np.subtract(x, self.means, out=z[1:])
        z[1:] /= scale
        return z


def _sigmoid(odds: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))
