"""The contestants: online models of River, and how each is exported for scoring.

    recursive   logistic regression with second-order steps (`recursive.py`): the first champion
    curved      the same on curves of the inputs and on crosses with flags (`curved.py`)
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

import msgspec
import numpy as np

from operators.churn.curved import CurvedLogistic, Kept
from operators.churn.recursive import RecursiveLogistic, Weights
from operators.churn.scoring import Function, Linear, Mean, Node, Trees
from operators.churn.vector import SILENCE

SEED = 7  # of what River draws in its bootstraps: the same examples give the same model


class Contestant(Protocol):
    """`keep`: what it has learnt, in plain numbers; None where River's objects hold it, which `river` gives.
    `restore` takes either again."""

    def learn(self, x: dict[str, float], row: np.ndarray, label: bool) -> None: ...

    def export(self) -> Function: ...

    def keep(self) -> Any: ...

    def river(self) -> Any: ...

    def restore(self, kept: Any) -> None: ...


class Rivers:
    """A contestant whose models are River's."""

    model: Any

    def keep(self) -> None:
        return None

    def river(self) -> Any:
        return self.model

    def restore(self, kept: Any) -> None:
        self.model = kept


class Recursive:
    def __init__(self, names: tuple[str, ...]) -> None:
        self.model = RecursiveLogistic(names, start=dict.fromkeys({SILENCE} & {*names}, 1.0))

    def learn(self, x: dict[str, float], row: np.ndarray, label: bool) -> None:
        self.model.learn(row, label)

    def export(self) -> Function:
        return Linear(*self.model.linear())

    def keep(self) -> Weights:
        return self.model.keep()

    def river(self) -> None:
        return None

    def restore(self, kept: Any) -> None:
        self.model.restore(msgspec.convert(kept, Weights))


class Curved:
    def __init__(self, names: tuple[str, ...]) -> None:
        self.model = CurvedLogistic(len(names))

    def learn(self, x: dict[str, float], row: np.ndarray, label: bool) -> None:
        self.model.learn(row, label)

    def export(self) -> Function:
        return self.model.function()

    def keep(self) -> Kept:
        return self.model.keep()

    def river(self) -> None:
        return None

    def restore(self, kept: Any) -> None:
        self.model.restore(msgspec.convert(kept, Kept))


class Logistic(Rivers):
    def __init__(self, names: tuple[str, ...]) -> None:
        from river import linear_model, optim, preprocessing

        self.names = names
        self.model = preprocessing.StandardScaler(), linear_model.LogisticRegression(optim.AdaGrad(0.05))

    def learn(self, x: dict[str, float], row: np.ndarray, label: bool) -> None:
        scaler, regression = self.model
        scaler.learn_one(x)
        regression.learn_one(scaler.transform_one(x), label)

    def export(self) -> Function:
        scaler, regression = self.model
        weights, means = [], []
        for name in self.names:
            spread = sqrt(scaler.vars[name])
            weights.append(float(regression.weights.get(name, 0.0)) / spread if spread > 0 else 0.0)
            means.append(float(scaler.means[name]))
        shift = sum(weight * mean for weight, mean in zip(weights, means, strict=True))
        return Linear(float(regression.intercept) - shift, weights, means)


class Tree(Rivers):
    def __init__(self, names: tuple[str, ...]) -> None:
        from river import tree

        self.names = names
        self.model = tree.HoeffdingAdaptiveTreeClassifier(
            grace_period=200, max_depth=8, leaf_prediction="mc", seed=SEED
        )

    def learn(self, x: dict[str, float], row: np.ndarray, label: bool) -> None:
        self.model.learn_one(x, label)

    def export(self) -> Function:
        return Trees([_nodes(self.model._root, self.names)])


class Forest(Rivers):
    def __init__(self, names: tuple[str, ...]) -> None:
        from river import forest

        self.names = names
        self.model = forest.ARFClassifier(
            n_models=10, max_depth=8, grace_period=200, leaf_prediction="mc", seed=SEED
        )

    def learn(self, x: dict[str, float], row: np.ndarray, label: bool) -> None:
        self.model.learn_one(x, label)

    def export(self) -> Function:
        roots = [getattr(member, "model", member)._root for member in self.model] or [None]
        return Trees([_nodes(root, self.names) for root in roots])


_KINDS: dict[str, Any] = {
    "recursive": Recursive, "curved": Curved, "logistic": Logistic, "tree": Tree, "forest": Forest,
}  # fmt: skip


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
    """Append the subtree under a node of River's; how many labels of it were no and yes."""
    place = len(nodes)
    nodes.append(Node(0.0))
    children = getattr(river, "children", None)
    if not children:
        counts = getattr(river, "stats", None) or {}
        no, yes = float(counts.get(False, 0.0)), float(counts.get(True, 0.0))
        nodes[place] = Node(_odds(no, yes))
        return no, yes
    left = _walk(children[0], places, nodes)
    second = len(nodes)
    right = _walk(children[1], places, nodes)
    no, yes = left[0] + right[0], left[1] + right[1]
    nodes[place] = Node(_odds(no, yes), places[river.feature], float(river.threshold), place + 1, second)
    return no, yes


def _odds(no: float, yes: float) -> float:
    return log((yes + 1) / (no + 1))
