"""What churn is, as the playbook says, compiled. Knows neither River nor numpy."""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

from operators.churn import vector
from operators.churn.subject import CHURN, Subject

# An event that asks for a score: whether it is a purchase, and of what value in minor units.
Deal = tuple[bool, int]
RESCORE: Deal = (False, 0)
PURCHASE: Deal = (True, 0)


class Definition(NamedTuple):
    """Durations in ms. Somebody with `least` purchases (events of `on`) or more who does not buy within
    `horizon` has churned. They are scored on the events of `rescore`, and `every` so long; snapshots are
    at least `apart`. What asks for a score within `throttle` after the last is answered together, at its
    end. `value`: the path of a purchase's value. `more`: features of the playbook that are
    facts besides the purchases.
    """

    on: frozenset[str]
    value: str
    horizon: int
    every: int
    apart: int
    least: int = 1
    rescore: frozenset[str] = frozenset()
    more: tuple[str, ...] = ()
    throttle: int = 0

    @property
    def facts(self) -> tuple[str, ...]:
        return (*vector.FACTS, *self.more)

    @property
    def inputs(self) -> tuple[str, ...]:
        return (*vector.INPUTS, *self.more)

    @property
    def words(self) -> dict[str, tuple[str, str]]:
        return vector.words(self.more)

    @property
    def subject(self) -> Subject:
        return CHURN

    def means(self, event: str) -> Deal | None:
        """What an event of this name is to it; None: nothing. What a purchase is worth it does not know."""
        return PURCHASE if event in self.on else RESCORE if event in self.rescore else None

    @property
    def fingerprint(self) -> str:
        """The same where examples of one may teach a model for the other."""
        meaning = sorted(self.on), self.value, self.horizon, self.least, self.facts, self.inputs
        return f"{crc32(repr(meaning).encode()):08x}"


class Terms(NamedTuple):
    """`labels`: over how many a challenger must be better, by `margin` nats of log loss a label. After a
    drift of the champion's loss fewer are enough (three tenths), and any margin."""

    labels: int = 5_000
    margin: float = 0.005
