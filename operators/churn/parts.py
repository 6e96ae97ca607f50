"""The part `churn` of a customer's record as it is stored, and the parameters that a learner keeps."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Statistics(msgspec.Struct, array_like=True, gc=False):
    """Times in ms of event time, money in minor units.

    `times`: of the newest KEPT purchases, ascending. `latest`: (time, value) of the newest.
    """

    count: int = 0
    first: int = -1
    total: int = 0
    latest: tuple[int, int] = (-1, 0)
    times: list[int] = []


class Snapshot(msgspec.Struct, array_like=True, gc=False, order=True):
    """`at`: scoring time in ms. `owner`: the customer id then. `facts` packed as 32-bit floats: a quarter
    of the space. `score` and `version`: what was said of them then, and by which model."""

    at: int
    owner: str
    facts: bytes
    score: float
    version: int
    back: bool = False


class Score(msgspec.Struct, array_like=True, frozen=True, order=True):
    """The probability that the customer churns, as of `at` (ms), why, and by which model (0: the rule
    for as long as there is none). `expected_*`: within the horizon; money in major units. `value_rank`: the
    share of customers of whom less value is expected, -1 where the model does not know it. All but `at`
    and `probability` are of the moment that the record's `explained` is of."""

    at: int
    probability: float
    reasons: tuple[str, ...]
    version: int
    expected_purchases: float
    expected_value: float
    next_purchase_at: int
    value_rank: float = -1.0


class Churn(msgspec.Struct, array_like=True, gc=False):
    """The part of a customer's record. `scored`: the newest score. `snapshot_at`: of the newest snapshot.
    `waiting`: oldest first. `told`: the probability that their last profile said, `explained`: that the
    reasons were found for; -1 for none. `asked`: something asked for a score and waits for the throttle."""

    bought: Statistics
    waiting: list[Snapshot]
    scored: Score | None = None
    snapshot_at: int = -1
    told: float = -1.0
    explained: float = -1.0
    asked: bool = False


class Purchasing(NamedTuple):
    """Parameters of the MBG/NBD model; alpha is in the unit of time."""

    r: float
    alpha: float
    a: float
    b: float


class Spending(NamedTuple):
    """Parameters of the gamma-gamma model; gamma is in the unit of money."""

    p: float
    q: float
    gamma: float


class Fitted(NamedTuple):
    """Population parameters that a model's inputs are computed with. Times in days, money in major units."""

    purchasing: Purchasing = Purchasing(0.5, 30.0, 1.0, 3.0)
    spending: Spending = Spending(6.0, 4.0, 15.0)
