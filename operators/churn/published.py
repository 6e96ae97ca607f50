"""A published model as a scorer, and what is refused: the step that scores reads models with this.

A model is JSON: numbers by name, readable for as long as its `format` is known, whatever version of
River made it.
"""

from __future__ import annotations

import msgspec

from operators.churn import scoring
from operators.churn.parts import Fitted, Purchasing, Spending
from operators.churn.scoring import Scorer
from schemas.churn import FORMAT, Model

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Model).decode


class Incompatible(ValueError):
    """A model or a learner's state that this program cannot use. The message says why and what to do;
    whoever gets it goes on with what they have."""


def read(raw: bytes) -> Model:
    """Raises Incompatible."""
    try:
        head = msgspec.json.decode(raw, type=Head)
        if head.format != FORMAT:
            raise Incompatible(
                f"a model was published in format {head.format}; this program reads format {FORMAT}: run the "
                "same version of oncue for learning and scoring"
            )
        return _decode(raw)
    except msgspec.MsgspecError as error:
        raise Incompatible(f"not a published model: {error}") from None


class Head(msgspec.Struct):
    format: int


def scorer(model: Model, definition: str, names: tuple[str, ...]) -> Scorer:
    """Ready to score. Raises Incompatible when it was learnt for another definition of churn, or is
    damaged."""
    if model.definition != definition or tuple(model.inputs) != names:
        odd = sorted(set(model.inputs) ^ set(names))
        raise Incompatible(
            f"model {model.version} was learnt for another definition of churn than the playbook's"
            + (f" (different inputs: {', '.join(odd)})" if odd else "")
            + ": start the learning flow with the same playbook"
        )
    try:
        function = scoring.build(model.scorer)
        fitted = Fitted(Purchasing(*model.fitted["purchasing"]), Spending(*model.fitted["spending"]))
        slope, shift = model.calibration
        if len(function.moves([0.0] * len(names))) != len(names):
            raise ValueError("it has weights for another number of inputs")
        return Scorer(function, fitted, slope, shift, model.version, tuple(model.values))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise Incompatible(f"model {model.version} is damaged: {error!r}") from None
