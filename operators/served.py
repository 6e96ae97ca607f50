"""The models of one subject that a shard has taken, and which of them scores what."""

from __future__ import annotations

from typing import Final

import msgspec

from operators.churn import published
from operators.churn.scoring import Scorer
from schemas.churn import Model

KEPT: Final = 32  # models, for what waited while newer ones came

Taken = tuple[int, bytes]  # what a model scores is as of later than this (ms); the record it came as
_decode = msgspec.msgpack.Decoder(list[Taken]).decode


def stored_models(raw: bytes | None) -> list[Taken]:
    """The models that a shard keeps with its records; None: it has kept none yet."""
    return _decode(raw) if raw else []


class Served:
    """Of the models that came the newest KEPT are `taken`; of those that came at the same moment only the
    newest can ever score. `rule`: what scores before the first. `fingerprint` and `inputs` are those of the
    subject's definition; a model for another is refused. `fixed`: what gives all scores, if one does."""

    def __init__(
        self, rule: Scorer, fingerprint: str, inputs: tuple[str, ...], fixed: Scorer | None = None
    ) -> None:
        self._rule = rule
        self._fixed = fixed
        self._fingerprint = fingerprint
        self._inputs = inputs
        self._scorers: list[tuple[int, Scorer]] = []  # each with what it scores as of later than
        self.taken: list[Taken] = []

    def anew(self) -> Served:
        """For the same subject, with no model yet."""
        return Served(self._rule, self._fingerprint, self._inputs, self._fixed)

    def always(self, raw: bytes) -> Served:
        """For the same subject, with all scores by the model that was published as `raw`; by the rule when
        that is empty. Raises Incompatible when it cannot be used."""
        fixed = self._ready(published.read(raw)) if raw else self._rule
        return Served(self._rule, self._fingerprint, self._inputs, fixed)

    def take(self, after: int, raw: bytes, model: Model) -> None:
        """A model was published as `raw`. Raises Incompatible when it cannot be used. One that is no newer
        than those taken is a repetition."""
        if self._scorers and model.version <= self._scorers[-1][1].version:
            return
        scorer = self._ready(model)
        if self.taken and self.taken[-1][0] == after:
            self._scorers, self.taken = self._scorers[:-1], self.taken[:-1]
        self._scorers = [*self._scorers, (after, scorer)][-KEPT:]
        self.taken = [*self.taken, (after, raw)][-KEPT:]

    def scorer(self, at: int) -> Scorer:
        """What scores as of `at`; of before all that are kept, the oldest of them."""
        if self._fixed is not None:
            return self._fixed
        for after, scorer in reversed(self._scorers):
            if at > after:
                return scorer
        return self._scorers[0][1] if len(self._scorers) == KEPT else self._rule

    def _ready(self, model: Model) -> Scorer:
        return published.scorer(model, self._fingerprint, self._inputs)
