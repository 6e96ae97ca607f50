"""What a learner must know of what it foretells, besides the examples: one machinery, several subjects."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from operators.churn import scoring, vector
from operators.churn.parts import Fitted
from operators.churn.scoring import Scorer
from operators.churn.vector import Population

Facts = tuple[float, ...]


class Subject(NamedTuple):
    """`inputs`: a model's numbers from (facts, fitted, horizon in ms). `refit`: the same for other fitted
    parameters, from (inputs, facts, fitted, horizon), which takes a part of the time. `rule`: the scorer
    that knows nothing yet, for so many inputs. `population`: what the populations are fitted to; None where
    nothing is fitted.
    """

    name: str
    inputs: Callable[[Facts, Fitted, int], list[float]]
    refit: Callable[[list[float], Facts, Fitted, int], list[float]]
    rule: Callable[[int], Scorer]
    population: Callable[[Facts], Population] | None


CHURN = Subject(
    "churn",
    vector.inputs,
    vector.refit,
    lambda count: scoring.rule(count - len(vector.INPUTS)),
    vector.population,
)
