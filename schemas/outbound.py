"""What goes out. Triggers, decisions and identities are CloudEvents 1.0 in Kafka's binary mode:
attributes in `ce_` headers, the structs below as the JSON body. The record key is the customer id.

Consumers read with `isolation.level=read_committed`; `ce_id` is the same for the same decision
whatever crashed in between, so a consumer that cannot read committed drops repeats by id.
Times are milliseconds since 1970 in event time, money is in minor units.
"""

from __future__ import annotations

from typing import Any

import msgspec


class BasketLine(msgspec.Struct, gc=False):
    product_id: str
    quantity: int
    price: int | None = None
    name: str | None = None


class Trigger(msgspec.Struct, gc=False):
    """Act now. `facts` are the features the playbook lists, as they were at `decided_at`."""

    rule: str
    rule_hash: str
    customer: str
    channel: str
    purpose: str
    why: str
    decided_at: int
    key: str
    facts: dict[str, Any]
    basket: list[BasketLine] = []
    currency: str | None = None


class Decision(msgspec.Struct, gc=False):
    """Why a candidate was held back, or a merge was not made."""

    rule: str
    customer: str
    reason: str
    decided_at: int
    key: str
    facts: dict[str, Any]
    rule_hash: str = ""
    channel: str = ""
    purpose: str = ""


class Identity(msgspec.Struct, gc=False):
    """`retired` is from now on `customer`: both ids resolve to the same person for ever."""

    customer: str
    retired: str
    cause: str
    at: int
    linked_by: list[str]
    move: int


class DeadLetter(msgspec.Struct, gc=False):
    """An event that could not be used. The record's value on the topic is the original bytes'
    base64 in `original`, so nothing is lost whatever the bytes were."""

    topic: str
    partition: int
    offset: int
    stage: str
    reason: str
    detail: str
    original: bytes


class Ledger(msgspec.Struct, gc=False):
    """Cumulative counts up to and including a cut. `shard` is "in" for what the sequencer let in.

    For every source: in = sum over shards of accepted + duplicate + dead_lettered + held. `held`
    events wait for a customer's state to arrive from another shard.
    """

    cut: int
    shard: str
    counts: dict[str, dict[str, int]]
