"""Models of the tests, as the learning flow would publish them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from operators.churn import published
from operators.churn.parts import Fitted
from operators.foretold import Definition
from schemas.churn import FORMAT, Figures, Model


def linear(
    definition: Definition, number: int, bias: float = 0.0, values: Sequence[float] = (), **weights: float
) -> bytes:
    """Version `number`: log-odds are `bias` and `weights` of inputs by name; `values` are percentiles."""
    function = {
        "kind": "linear",
        "bias": bias,
        "weights": [weights.get(name, 0.0) for name in definition.inputs],
        "means": [0.0] * len(definition.inputs),
    }
    return of(definition, number, function, values)


def of(definition: Definition, number: int, function: dict[str, Any], values: Sequence[float] = ()) -> bytes:
    """Version `number` with this function, as `operators/churn/scoring.py` reads it."""
    fitted = Fitted()
    return published.encode(
        Model(
            format=FORMAT,
            river=version("river"),
            version=number,
            contestant="recursive",
            labels=100,
            trained_until=0,
            definition=definition.fingerprint,
            inputs=list(definition.inputs),
            scorer=function,
            fitted={"purchasing": list(fitted.purchasing), "spending": list(fitted.spending)},
            calibration=[1.0, 0.0],
            figures=Figures(100, 50, None, None, None, None),
            why="a test",
            values=[*values],
            subject=definition.subject.name,
        )
    )
