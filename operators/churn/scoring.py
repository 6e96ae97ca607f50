"""Scoring with an exported model: plain arithmetic on numbers, no River, no numpy, a few microseconds.

A scorer is what is left of a model when it no longer learns. All kinds work in log-odds and can say
which input moved a score how far from the population's average, so every score has its reasons:

    linear   bias + sum of weight x input; moved by weight x (input - mean)
    curves   the same with curves in place of slopes, and slopes that depend on flags
    trees    mean of the trees' leaves; moved by what each step down a path changed (Saabas, 2014)
    mean     mean of other scorers
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp
from typing import Any, NamedTuple

from operators.churn.parts import Fitted, Purchasing, Spending
from operators.churn.vector import INPUTS


class Function:
    """Log-odds of a positive label."""

    def raw(self, inputs: list[float]) -> float:
        raise NotImplementedError

    def moves(self, inputs: list[float]) -> list[float]:
        """How far each input moved them from the population's average."""
        raise NotImplementedError

    def above(self, inputs: list[float], index: int) -> bool:
        """Whether an input moved them by being large."""
        raise NotImplementedError

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it; `build` makes the same function of it."""
        raise NotImplementedError


class Linear(Function):
    def __init__(self, bias: float, weights: Sequence[float], means: Sequence[float]) -> None:
        self.bias, self.weights, self.means = bias, tuple(weights), tuple(means)

    def raw(self, inputs: list[float]) -> float:
        total = 0.0
        for place, weight in enumerate(self.weights):
            total += weight * inputs[place]
        return self.bias + total

    def moves(self, inputs: list[float]) -> list[float]:
        means = self.means
        return [weight * (inputs[place] - means[place]) for place, weight in enumerate(self.weights)]

    def above(self, inputs: list[float], index: int) -> bool:
        return inputs[index] > self.means[index]

    def plain(self) -> dict[str, Any]:
        return {"kind": "linear", "bias": self.bias, "weights": self.weights, "means": self.means}


class Node(NamedTuple):
    """`value`: log-odds of all that came through here. `left`, `right`: positions; 0: a leaf."""

    value: float
    input: int = -1
    threshold: float = 0.0
    left: int = 0
    right: int = 0


class Trees(Function):
    """Each tree is a list of nodes, the root first."""

    def __init__(self, trees: Sequence[Sequence[Node]]) -> None:
        self.trees = trees

    def raw(self, inputs: list[float]) -> float:
        total = 0.0
        for tree in self.trees:
            node = tree[0]
            while node[3]:
                node = tree[node[3] if inputs[node[1]] <= node[2] else node[4]]
            total += node[0]
        return total / len(self.trees)

    def moves(self, inputs: list[float]) -> list[float]:
        found = [0.0] * len(inputs)
        for tree in self.trees:
            for node, child, _ in _path(tree, inputs):
                found[node.input] += (child.value - node.value) / len(self.trees)
        return found

    def above(self, inputs: list[float], index: int) -> bool:
        steps = [
            right for tree in self.trees for node, _, right in _path(tree, inputs) if node.input == index
        ]
        return sum(steps) * 2 > len(steps)

    def plain(self) -> dict[str, Any]:
        return {"kind": "trees", "trees": [[list(node) for node in tree] for tree in self.trees]}


class Curves(Function):
    """A curve for each number, straight between its knots, and for each flag that is up a slope of its own
    for some numbers. `weights` and `means` are of the `size` inputs, then of the `bends` (input, knot), each
    worth what the input exceeds its knot by, then of the `crosses` (flag, number), each worth their product.
    A cross moves a score by its number."""

    def __init__(
        self, bias: float, weights: Sequence[float], means: Sequence[float], size: int,
        bends: Sequence[tuple[int, float]], crosses: Sequence[tuple[int, int]],
    ) -> None:  # fmt: skip
        if len(weights) != size + len(bends) + len(crosses) or len(means) != len(weights):
            raise ValueError(f"{len(weights)} weights and {len(means)} means for {size} inputs with curves")
        self.bias, self.weights, self.means, self.size = bias, tuple(weights), tuple(means), size
        self.bends, self.crosses = [(i, k) for i, k in bends], [(f, n) for f, n in crosses]
        owners = [*range(size), *(place for place, _ in bends), *(number for _, number in crosses)]
        self._average = [0.0] * size  # what each input adds on the population's average
        for owner, weight, mean in zip(owners, self.weights, self.means, strict=True):
            self._average[owner] += weight * mean
        self._curves = [self._curve(place) for place in range(size)]
        slopes: dict[int, list[tuple[int, float]]] = {}
        for (flag, number), weight in zip(crosses, self.weights[size + len(bends) :], strict=True):
            slopes.setdefault(flag, []).append((number, weight))
        self._slopes = [(flag, tuple(rows)) for flag, rows in slopes.items()]

    def _curve(self, place: int) -> tuple[list[float], list[float], list[float]]:
        """(knots, slope of each piece, height of each piece at zero)."""
        slope, height = self.weights[place], 0.0
        knots, slopes, heights = [], [slope], [height]
        own = [
            (knot, self.weights[self.size + number])
            for number, (bent, knot) in enumerate(self.bends)
            if bent == place
        ]
        for knot, weight in sorted(own):
            slope += weight
            height -= weight * knot
            knots.append(knot)
            slopes.append(slope)
            heights.append(height)
        return knots, slopes, heights

    def raw(self, inputs: list[float]) -> float:
        total = self.bias
        for place, (knots, slopes, heights) in enumerate(self._curves):
            value = inputs[place]
            piece = _piece(knots, value)
            total += slopes[piece] * value + heights[piece]
        for flag, rows in self._slopes:
            up = inputs[flag]
            if up:
                for number, weight in rows:
                    total += up * weight * inputs[number]
        return total

    def moves(self, inputs: list[float]) -> list[float]:
        found = []
        for place, (knots, slopes, heights) in enumerate(self._curves):
            value = inputs[place]
            piece = _piece(knots, value)
            found.append(slopes[piece] * value + heights[piece] - self._average[place])
        for flag, rows in self._slopes:
            up = inputs[flag]
            if up:
                for number, weight in rows:
                    found[number] += up * weight * inputs[number]
        return found

    def above(self, inputs: list[float], index: int) -> bool:
        return inputs[index] > self.means[index]

    def plain(self) -> dict[str, Any]:
        return {
            "kind": "curves", "bias": self.bias, "weights": self.weights, "means": self.means,
            "size": self.size, "bends": self.bends, "crosses": self.crosses,
        }  # fmt: skip


def _piece(knots: list[float], value: float) -> int:
    """Of a curve with few knots: how many of them `value` has reached."""
    piece = 0
    for knot in knots:
        if value < knot:
            break
        piece += 1
    return piece


class Mean(Function):
    def __init__(self, members: Sequence[Function]) -> None:
        self.members = members

    def raw(self, inputs: list[float]) -> float:
        total = 0.0
        for member in self.members:
            total += member.raw(inputs)
        return total / len(self.members)

    def moves(self, inputs: list[float]) -> list[float]:
        every = [member.moves(inputs) for member in self.members]
        return [sum(column) / len(every) for column in zip(*every, strict=True)]

    def above(self, inputs: list[float], index: int) -> bool:
        strongest = max(self.members, key=lambda member: abs(member.moves(inputs)[index]))
        return strongest.above(inputs, index)

    def plain(self) -> dict[str, Any]:
        return {"kind": "mean", "members": [member.plain() for member in self.members]}


class Scorer:
    """A function with what belongs to it. `slope`, `shift`: calibration of the log-odds (Platt). `values`:
    percentiles of the expected value over customers."""

    def __init__(
        self, function: Function, fitted: Fitted, slope: float = 1.0, shift: float = 0.0, version: int = 0,
        values: tuple[float, ...] = (),
    ) -> None:  # fmt: skip
        self.function, self.fitted, self.slope, self.shift = function, fitted, slope, shift
        self.version, self.values = version, values

    def score(self, inputs: list[float]) -> float:
        """Probability of a positive label."""
        return probability(self.slope * self.function.raw(inputs) + self.shift)

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it; `read` makes the same scorer of it."""
        return {
            "function": self.function.plain(),
            "purchasing": list(self.fitted.purchasing),
            "spending": list(self.fitted.spending),
            "calibration": [self.slope, self.shift],
        }


def probability(odds: float) -> float:
    if odds > 30.0 or odds < -30.0:
        odds = 30.0 if odds > 0 else -30.0
    return 1 / (1 + exp(-odds))


def rule(more: int = 0) -> Scorer:
    """What holds before anything has been learnt, version 0: recency and frequency, with a weight each
    that fits most shops roughly. `more`: how many inputs the playbook adds."""
    weights = dict.fromkeys(INPUTS, 0.0) | {"recency": 0.4, "purchase_days": -0.8}
    means = dict.fromkeys(INPUTS, 0.0) | {"recency": 4.0, "purchase_days": 1.0}
    bias = 0.5 - sum(weights[name] * means[name] for name in INPUTS)
    return Scorer(
        Linear(bias, [*weights.values(), *[0.0] * more], [*means.values(), *[0.0] * more]), Fitted()
    )


def read(plain: dict[str, Any]) -> Scorer:
    """The scorer of `plain()`. Raises KeyError, TypeError or ValueError when it is none."""
    fitted = Fitted(Purchasing(*plain["purchasing"]), Spending(*plain["spending"]))
    slope, shift = plain["calibration"]
    return Scorer(build(plain["function"]), fitted, slope, shift)


def build(plain: dict[str, Any]) -> Function:
    """The function of `plain()`. Raises KeyError, TypeError or ValueError when it is none."""
    kind = plain["kind"]
    if kind == "linear":
        return Linear(
            float(plain["bias"]), list(map(float, plain["weights"])), list(map(float, plain["means"]))
        )
    if kind == "curves":
        return Curves(
            float(plain["bias"]), list(map(float, plain["weights"])), list(map(float, plain["means"])),
            int(plain["size"]), [(int(i), float(k)) for i, k in plain["bends"]],
            [(int(f), int(n)) for f, n in plain["crosses"]],
        )  # fmt: skip
    if kind == "trees":
        return Trees([[_node(node, len(tree)) for node in tree] for tree in plain["trees"]])
    if kind == "mean":
        return Mean([build(member) for member in plain["members"]])
    raise ValueError(f"unknown kind of model {kind!r}")


def _path(tree: Sequence[Node], inputs: list[float]) -> Iterator[tuple[Node, Node, bool]]:
    """(node, its child, whether that is the right one) from the root to a leaf."""
    node = tree[0]
    while node.left:
        right = inputs[node.input] > node.threshold
        child = tree[node.right if right else node.left]
        yield node, child, right
        node = child


def _node(plain: Sequence[Any], count: int) -> Node:
    value, index, threshold, left, right = plain
    if not (0 <= left < count and 0 <= right < count):
        raise ValueError(f"a node leads to {left} and {right} of {count}")
    return Node(float(value), int(index), float(threshold), int(left), int(right))
