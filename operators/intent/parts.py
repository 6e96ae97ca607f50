"""The part `intent` of a customer's record as it is stored."""

from __future__ import annotations

import msgspec

from operators.churn.parts import Snapshot


class Visit(msgspec.Struct, array_like=True, gc=False, order=True):
    """From the first signal to the last (ms), and how many of each."""

    start: int
    end: int
    counts: dict[str, int]


class Score(msgspec.Struct, frozen=True):
    """The probability of an order within the horizon, as of `at` (ms), why where it is not unlikely, and by
    which model (0: the rule)."""

    at: int
    probability: float
    reasons: tuple[str, ...]
    version: int


class Visitor(msgspec.Struct, array_like=True, gc=False):
    """The part of a customer's record. `visits`: the newest, ascending; `totals` by signal; `first`: when
    the earliest was. `orders`: how many; `ordered`: when, of the last one and two horizons before it.
    `snapshot_at`: of the newest snapshot of those `waiting`, oldest first. `as_of`: of the newest score, -1
    since an order; the score itself follows from the rest."""

    visits: list[Visit]
    totals: dict[str, int]
    first: int
    orders: int
    ordered: list[int]
    waiting: list[Snapshot]
    snapshot_at: int = -1
    as_of: int = -1
