"""The contestants: online models of River, and how each is exported for scoring.

    recursive   logistic regression with second-order steps (`recursive.py`): the first champion
    logistic    River's logistic regression on River's standardised inputs
    tree        River's Hoeffding adaptive tree
    forest      River's adaptive random forest of 10 trees
    ensemble    the mean of the log-odds of all others that were asked for

What counts is the exported function: it is what customers are scored with, so it is what is evaluated.
A tree's leaves are exported with their counts, smoothed; subtrees that are still on trial do not vote.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, sqrt
from typing import Any, Protocol

import numpy as np
from river import forest, linear_model, optim, preprocessing, tree

from operators.churn.recursive import RecursiveLogistic
from operators.churn.scoring import Function, Linear, Mean, Node, Trees

SEED = 7  # of what River draws in its bootstraps: the same examples give the same model


class Contestant(Protocol):
    def learn(self, x: dict[str, float], row: np.ndarray, churned: bool) -> None: ...

    def export(self) -> Function: ...


class Recursive:
    def __init__(self, names: tuple[str, ...]) -> None:
        self.model = RecursiveLogistic(names)

    def learn(self, x: dict[str, float], row: np.ndarray, churned: bool) -> None:
        self.model.learn(row, churned)

    def export(self) -> Function:
        return Linear(*self.model.linear())


class Logistic:
    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.scaler = preprocessing.StandardScaler()
        self.model = linear_model.LogisticRegression(optim.AdaGrad(0.05))

    def learn(self, x: dict[str, float], row: np.ndarray, churned: bool) -> None:
        self.scaler.learn_one(x)
        self.model.learn_one(self.scaler.transform_one(x), churned)

    def export(self) -> Function:
        weights, means = [], []
        for name in self.names:
            spread = sqrt(self.scaler.vars[name])
            weights.append(float(self.model.weights.get(name, 0.0)) / spread if spread > 0 else 0.0)
            means.append(float(self.scaler.means[name]))
        shift = sum(weight * mean for weight, mean in zip(weights, means, strict=True))
        return Linear(float(self.model.intercept) - shift, weights, means)


class Tree:
    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.model = tree.HoeffdingAdaptiveTreeClassifier(
            grace_period=200, max_depth=8, leaf_prediction="mc", seed=SEED
        )

    def learn(self, x: dict[str, float], row: np.ndarray, churned: bool) -> None:
        self.model.learn_one(x, churned)

    def export(self) -> Function:
        return Trees([_nodes(self.model._root, self.names)])


class Forest:
    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.model = forest.ARFClassifier(
            n_models=10, max_depth=8, grace_period=200, leaf_prediction="mc", seed=SEED
        )

    def learn(self, x: dict[str, float], row: np.ndarray, churned: bool) -> None:
        self.model.learn_one(x, churned)

    def export(self) -> Function:
        roots = [getattr(member, "model", member)._root for member in self.model] or [None]
        return Trees([_nodes(root, self.names) for root in roots])


_KINDS: dict[str, Any] = {"recursive": Recursive, "logistic": Logistic, "tree": Tree, "forest": Forest}


def make(kinds: Sequence[str], names: tuple[str, ...]) -> dict[str, Contestant]:
    """A fresh model of each kind that learns itself."""
    return {kind: _KINDS[kind](names) for kind in kinds if kind != "ensemble"}


def export(contestants: dict[str, Contestant], kinds: Sequence[str]) -> dict[str, Function]:
    found = {kind: contestant.export() for kind, contestant in contestants.items()}
    if "ensemble" in kinds:
        found["ensemble"] = Mean(list(found.values()))
    return found


def _nodes(root: Any, names: tuple[str, ...]) -> list[Node]:
    nodes: list[Node] = []
    _walk(root, {name: index for index, name in enumerate(names)}, nodes)
    return nodes


def _walk(river: Any, places: dict[str, int], nodes: list[Node]) -> tuple[float, float]:
    """Append the subtree under a node of River's; how many of it stayed and churned."""
    place = len(nodes)
    nodes.append(Node(0.0))
    children = getattr(river, "children", None)
    if not children:
        counts = getattr(river, "stats", None) or {}
        stayed, churned = float(counts.get(False, 0.0)), float(counts.get(True, 0.0))
        nodes[place] = Node(_odds(stayed, churned))
        return stayed, churned
    left = _walk(children[0], places, nodes)
    second = len(nodes)
    right = _walk(children[1], places, nodes)
    stayed, churned = left[0] + right[0], left[1] + right[1]
    nodes[place] = Node(
        _odds(stayed, churned), places[river.feature], float(river.threshold), place + 1, second
    )
    return stayed, churned


def _odds(stayed: float, churned: float) -> float:
    return log((churned + 1) / (stayed + 1))
