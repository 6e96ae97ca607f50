"""What goes out. Triggers, decisions and identities are CloudEvents 1.0 in Kafka's binary mode:
attributes in `ce_` headers, the structs below as the JSON body. The record key is the customer id.

Consumers read with `isolation.level=read_committed`; `ce_id` is the same for the same decision
whatever crashed in between, so a consumer that cannot read committed drops repeats by id.
Times are milliseconds since 1970 in event time, money is in minor units.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from schemas.common import Time

TRACEPARENT = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"


def _attribute(name: str) -> str:
    plain = ("oncue_cut", "oncue_latency_ms", "traceparent")
    return "content-type" if name == "content_type" else name if name in plain else f"ce_{name}"


class Headers(msgspec.Struct, rename=_attribute, omit_defaults=True, kw_only=True):
    """Headers of every record: the attributes of CloudEvents 1.0, and two of oncue's own.

    `ce_id` is the same whenever the same decision is repeated. `ce_correlationid` joins a trigger and its
    cancellation; `ce_causationid` is the message id, or topic/partition/offset, of what caused the record;
    after `ce_expirytime` a trigger is not worth acting on. `ce_time` is event time, `ce_recordedtime` the
    wall clock. `oncue_cut` is the cut of the scope's order, `oncue_latency_ms` from broker to broker.
    `traceparent` (W3C Trace Context) is there when the event that caused the record is traced.
    """

    id: str
    specversion: Literal["1.0"]
    type: str
    source: str
    subject: str
    recordedtime: Time
    content_type: Literal["application/json"]
    oncue_cut: Annotated[str, msgspec.Meta(pattern="^[0-9]+$")]
    time: Time | msgspec.UnsetType = msgspec.UNSET
    causationid: str | msgspec.UnsetType = msgspec.UNSET
    correlationid: str | msgspec.UnsetType = msgspec.UNSET
    expirytime: Time | msgspec.UnsetType = msgspec.UNSET
    oncue_latency_ms: Annotated[str, msgspec.Meta(pattern="^[0-9]+$")] | msgspec.UnsetType = msgspec.UNSET
    traceparent: Annotated[str, msgspec.Meta(pattern=TRACEPARENT)] | msgspec.UnsetType = msgspec.UNSET


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


class TriggerCancelled(msgspec.Struct, gc=False):
    """A trigger that went out need not be acted on any more: what it was about has come to pass, or its
    reason fell away. `trigger` is the `ce_id` of the trigger; both have the same `ce_correlationid`."""

    trigger: str
    rule: str
    customer: str
    reason: str
    cancelled_at: int
    key: str
    rule_hash: str = ""
    channel: str = ""
    purpose: str = ""


class Consent(msgspec.Struct, gc=False):
    """The customer's last word on a purpose on a channel."""

    purpose: str
    channel: str
    granted: bool
    at: int


class ChurnScore(msgspec.Struct, gc=False):
    """How likely it is, as of `scored_at`, that the customer does not buy within the playbook's horizon, and
    the reasons that count most, in words. `model` is the version of the model that says so; while none has
    been learnt it is 0 and `prior` is true: a rule of recency and frequency.

    `expected_purchases` within the horizon, `expected_value` what they are worth in minor units,
    `next_purchase_at` when the next is due if the customer is still there. `value_rank`: the share of
    customers of whom less value is expected, null without a model."""

    probability: float
    reasons: list[str]
    scored_at: int
    model: int
    prior: bool
    expected_purchases: float
    expected_value: int
    next_purchase_at: int
    value_rank: float | None = None


class IntentScore(msgspec.Struct, gc=False):
    """How likely it is, as of `scored_at`, that the visitor orders within the playbook's horizon, and the
    reasons that count most, in words. `model` is the version of the model that says so; while none has been
    learnt it is 0 and `prior` is true: a rule of how far along the way to an order the visitor is."""

    probability: float
    reasons: list[str]
    scored_at: int
    model: int
    prior: bool


class Profile(msgspec.Struct, gc=False):
    """What is known about a customer as of `as_of`. The topic is compacted: the newest record of a customer
    replaces all before. It holds no identifiers. Features that are money are in minor units of `currency`.
    `merged_into` is set on the last record of an id that was retired, and names the surviving customer;
    features and consents are then found there. `churn` and `intent` are there where the playbook asks for
    them; `intent` while the horizon of the newest score lasts, or until an order."""

    customer: str
    as_of: int
    first_seen: int
    last_seen: int
    features: dict[str, Any] = {}
    consents: list[Consent] = []
    currency: str | None = None
    merged_into: str | None = None
    churn: ChurnScore | None = None
    intent: IntentScore | None = None


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
    """What could not be used: `stage` says where it failed, `reason` in a word why, `detail` in full.
    `original` has the bytes in base64, so nothing is lost whatever they were.

    Stages `header`, `resolve`, `event` and `customer` are about the event at topic/partition/offset.
    `trigger` is about a candidate whose condition failed, `original` is the decision that says so;
    `merge` about a customer's record that could not be merged; `model` about a published model that cannot
    be used, the one before stays. These three have no topic.
    """

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
    events wait for a customer's state to arrive from another shard. `conflicting` are those of the accepted
    whose message id had come with another payload.
    """

    cut: int
    shard: str
    counts: dict[str, dict[str, int]]
