"""Logistic regression learnt block by block with second-order steps, as a River classifier.

The weights have a Gaussian prior. Every BLOCK labels it becomes the posterior by Laplace's approximation:
Newton's method for the mean, the curvature there for the covariance, both by way of the scores of the block,
of which there are few (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, 3.4). So
there is no learning rate. Old labels count less and less, so that the weights can follow a changing world,
but no weight gets less sure than it was before anything was learnt.

Inputs are standardised online; a variance of FLOOR is added, so that an input that hardly ever moves
does not shake the score when it does.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from math import exp
from typing import Any

import msgspec
import numpy as np
from river import base

FLOOR = 0.01
BLOCK = 32  # labels
STEPS = 8  # of Newton's method, at most
NEAR = 1e-6  # log-odds; a step that moves no score further is the last
PRIOR = 0.01
MEMORY = 100_000  # labels; one that was learnt so many ago counts a third of a new one


class Weights(msgspec.Struct, array_like=True):
    """All that a RecursiveLogistic has learnt. `covariance` row by row; `block`: inputs and label of those
    labels that no block has been made of."""

    n: int
    means: list[float]
    squares: list[float]
    weights: list[float]
    covariance: list[float]
    block: list[tuple[list[float], bool]]


class RecursiveLogistic(base.Classifier):
    """Parameters
    ----------
    inputs
        Names of the inputs, their order is the order of the weights.
    prior
        Variance of a weight before anything was learnt, in log-odds per standard deviation, squared: one for
        all or one for each.
    start
        Inputs that are log-odds themselves, with the weight to begin with; that of others is 0.
    memory
        Labels after which one has lost two thirds of its weight.
    """

    def __init__(
        self, inputs: tuple[str, ...], prior: float | np.ndarray = PRIOR,
        start: Mapping[str, float] | None = None, memory: float = MEMORY,
    ) -> None:  # fmt: skip
        self.inputs = inputs
        self.prior = prior
        self.start = start or {}
        self.memory = memory
        size = len(inputs)
        self.n = 0
        self.means = np.zeros(size)
        self.squares = np.zeros(size)
        self.weights = np.zeros(size + 1)
        self._most = np.ones(size + 1)  # the base rate is learnt faster
        self._most[1:] = prior
        self.covariance = np.diag(self._most)
        self._rows = np.zeros((BLOCK, size))
        self._labels = np.zeros(BLOCK)
        self._filled = 0

    def predict_proba_one(self, x: dict[Hashable, Any], **_: Any) -> dict[bool | str | int, float]:
        bias, weights, _means = self.linear()
        odds = bias + sum(weight * x[name] for weight, name in zip(weights, self.inputs, strict=True))
        p = float(_sigmoid(np.array(odds)))
        return {False: 1 - p, True: p}

    def learn_one(self, x: dict[Hashable, Any], y: bool | str | int) -> None:
        self.learn([x[name] for name in self.inputs], bool(y))

    def learn(self, x: Any, y: bool) -> None:
        """As learn_one, from the inputs in their order."""
        self._rows[self._filled] = x
        self._labels[self._filled] = y
        self._filled += 1
        if self._filled == BLOCK:
            self._filled = 0
            self._block()

    def linear(self) -> tuple[float, list[float], list[float]]:
        """Bias and weights for inputs as they come, and the inputs' means."""
        weights = self.weights[1:] / self._scale()
        bias = float(self.weights[0]) - float(weights @ self.means)
        return bias, weights.tolist(), self.means.tolist()

    def keep(self) -> Weights:
        rows, labels = self._rows[: self._filled].tolist(), self._labels[: self._filled].astype(bool).tolist()
        return Weights(
            self.n, self.means.tolist(), self.squares.tolist(), self.weights.tolist(),
            self.covariance.ravel().tolist(), list(zip(rows, labels, strict=True)),
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
        self._filled = 0
        for row, label in kept.block:
            self.learn(row, label)

    def _scale(self) -> np.ndarray:
        return np.sqrt(self.squares / max(self.n, 1) + FLOOR)

    def _block(self) -> None:
        rows, labels = self._rows, self._labels
        z = np.ones((BLOCK, len(self.means) + 1))
        z[:, 1:] = (rows - self._standard(rows)) / self._scale()
        if self.n == BLOCK:
            self._begin()
        # einsum, because the threads that BLAS starts from 100 weights on wait for each other: 7 µs a label
        # at 150 weights, and 40 with BLAS on two busy cores.
        reach = np.einsum("bi,ij->bj", z, self.covariance)
        spread = np.einsum("bi,ci->bc", reach, z)
        before = odds = np.einsum("bi,i->b", z, self.weights)
        one = np.eye(BLOCK)
        for _ in range(STEPS):
            p = _sigmoid(odds)
            curved = p * (1 - p)
            moved = np.linalg.solve(one + curved[:, None] * spread, curved * (odds - before) + labels - p)
            last, odds = odds, before + spread @ moved
            if np.abs(odds - last).max() < NEAR:
                break
        self.weights = self.weights + np.einsum("b,bi->i", moved, reach)
        root = np.sqrt(curved)
        lower = np.linalg.cholesky(one + root[:, None] * spread * root)
        known = np.linalg.solve(lower, root[:, None] * reach)
        self.covariance -= np.einsum("bi,bj->ij", known, known)
        self._forget()

    def _forget(self) -> None:
        self.covariance *= exp(BLOCK / self.memory)
        shrink = np.sqrt(np.minimum(1.0, self._most / self.covariance.diagonal()))
        self.covariance *= shrink[:, None] * shrink

    def _standard(self, rows: np.ndarray) -> np.ndarray:
        """Means with these rows in them (Chan, Golub and LeVeque, The American Statistician 37, 1983)."""
        before, self.n = self.n, self.n + BLOCK
        means = rows.mean(axis=0)
        off = means - self.means
        self.squares += ((rows - means) ** 2).sum(axis=0) + off * off * (before * BLOCK / self.n)
        self.means = self.means + off * (BLOCK / self.n)
        return self.means

    def _begin(self) -> None:
        """What the weights to begin with are once the spread of the inputs is known."""
        scale = self._scale()
        for name, weight in self.start.items():
            place = self.inputs.index(name)
            self.weights[1 + place] = weight * scale[place]
            self.weights[0] += weight * self.means[place]


def _sigmoid(odds: np.ndarray) -> np.ndarray:
    found: np.ndarray = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
    return found
