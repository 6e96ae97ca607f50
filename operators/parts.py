"""The parts of a customer's record as they are stored; `operators/records.py` says what is what. Those of
what is foretold are in `operators/churn/parts.py` and `operators/intent/parts.py`.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Core(msgspec.Struct, array_like=True, gc=False):
    """`consents`: "purpose/channel" -> (when, granted). `cooldowns`: rule -> when it last fired.
    `alarms`: rule -> when its next absence may be due, grace included. `addresses`: "email:", "phone:" or
    "push:" and a checksum of the address -> when it was last found not to work, -1 for never. Times in ms
    of event time."""

    first_seen: int = -1
    last_seen: int = -1
    consents: dict[str, tuple[int, bool]] = {}
    cooldowns: dict[str, int] = {}
    alarms: dict[str, int] = {}
    addresses: dict[str, int] = {}


class Sent(msgspec.Struct, array_like=True, gc=False):
    """A trigger that went out, to `customer` as they were called then, because of what began at `begun`."""

    rule: str
    key: str
    customer: str
    cause: str
    begun: int
    expires: int


class Queue(msgspec.Struct, array_like=True, gc=False):
    """Operations held back until move number `waiting` arrives (0: not waiting), each with the
    watermark before and after its cut; and moves that came early. What was due by `decided` had been
    decided when the wait began, because of an event at `at`. `cuts`: those of the operations held back."""

    waiting: int = 0
    held: list[tuple[tuple[Any, ...], int, int]] = []
    early: dict[int, bytes] = {}
    decided: int = -1
    at: int = -1
    cuts: list[int] = []


class Measured(msgspec.Struct, array_like=True, gc=False):
    """All that was measured of a customer. `rows`: what waits, per form one flat list of rows: event time
    in ms, then one item per slot of the form (None: nothing, a list: several values). `forms`: the slots
    of each, comma separated, so that rows outlive a change of the playbook. `panes`: slot -> encoded
    Columns."""

    forms: list[str] = []
    rows: list[list[Any]] = []
    panes: bytes = b""


class Line(msgspec.Struct, array_like=True, gc=False):
    """A change of a basket: `quantity` is negative when taken out. `price` in minor units."""

    at: int
    product: str
    quantity: int
    price: int | None = None
    name: str | None = None


Mark = tuple[int, Any]  # when, and what: nothing of note (0), a thing, or a number


class Pattern(msgspec.Struct, array_like=True, gc=False):
    """One key's state. `cause`: the message id of the event at `since`, kept where time decides. `until`:
    the last event that took the reason away; `fired`: the `since` of the last decision; `below`: when a
    threshold was last found not to hold after it had held. `lines` make up a basket; `marks` are what
    repetitions and drops are seen from. All in ms of event time."""

    since: int = -1
    cause: str = ""
    until: int = -1
    fired: int = -1
    below: int = -1
    lines: list[Line] = []
    marks: list[tuple[int, int | str]] = []


class Patterns(msgspec.Struct, array_like=True, gc=False):
    """All keys of one rule. `until` counts for every key: an order that names no cart. `once`: keys with a
    single mark and nothing else, as most products are looked at once: a third of the bytes of a Pattern."""

    until: int = -1
    keys: dict[str, Pattern] = {}
    once: dict[str, tuple[int, int | str]] = {}
