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

import numpy as np
from river import base

FLOOR = 0.01
WARM = 50  # labels that only teach means and variances


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

    def predict_proba_one(self, x: dict[Hashable, Any], **_: Any) -> dict[bool | str | int, float]:
        z = self._standardised(np.array([x[name] for name in self.inputs]))
        p = _sigmoid(float(self.weights @ z))
        return {False: 1 - p, True: p}

    def learn_one(self, x: dict[Hashable, Any], y: bool | str | int) -> None:
        self.learn(np.array([x[name] for name in self.inputs]), bool(y))

    def learn(self, x: np.ndarray, y: bool) -> None:
        """As learn_one, from the inputs in their order."""
        self.n += 1
        off = x - self.means
        self.means += off / self.n
        self.squares += off * (x - self.means)
        if self.n <= WARM:
            return
        z = self._standardised(x)
        p = _sigmoid(float(self.weights @ z))
        certainty = p * (1 - p)
        reach = self.covariance @ z
        step = reach / (1 + certainty * float(z @ reach))
        self.covariance -= (reach * certainty)[:, None] * step
        if self.memory < 1:
            self.covariance /= self.memory
        self.weights += step * (float(y) - p)

    def linear(self) -> tuple[float, list[float], list[float]]:
        """Bias and weights for inputs as they come, and the inputs' means."""
        scale = np.sqrt(self.squares / max(self.n, 1) + FLOOR)
        weights = self.weights[1:] / scale
        bias = float(self.weights[0]) - float(weights @ self.means)
        return bias, weights.tolist(), self.means.tolist()

    def _standardised(self, x: np.ndarray) -> np.ndarray:
        z = np.ones(len(x) + 1)
        z[1:] = (x - self.means) / np.sqrt(self.squares / max(self.n, 1) + FLOOR)
        return z


def _sigmoid(odds: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))
