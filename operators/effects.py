"""Effects: what a step wants done, as data. The flow carries them out, the sink exactly once."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from schemas import outbound, topics

_json = msgspec.json.Encoder().encode


class Effect(NamedTuple):
    """One record for an output topic. `topic` is a code of `schemas.topics`; `id` is the same
    whenever the same decision is repeated; `arrived` (broker time, ms) is when its cause came in."""

    topic: int
    id: str
    key: str
    body: bytes
    type: str
    at: int
    arrived: int
    cause: str = ""
    correlation: str = ""
    expires: int = 0


def trigger(
    id: str, body: outbound.Trigger, arrived: int, cause: str, correlation: str, expires: int
) -> Effect:
    return Effect(
        topics.TRIGGERS, id, body.customer, _json(body), f"oncue.trigger.{body.rule}",
        body.decided_at, arrived, cause, correlation, expires,
    )  # fmt: skip


def cancelled(id: str, body: outbound.TriggerCancelled, arrived: int, cause: str, correlation: str) -> Effect:
    """On the topic of triggers, behind the trigger it cancels."""
    return Effect(
        topics.TRIGGERS, id, body.customer, _json(body), f"oncue.trigger-cancelled.{body.rule}",
        body.cancelled_at, arrived, cause, correlation,
    )  # fmt: skip


def profile(id: str, body: outbound.Profile, arrived: int, cause: str) -> Effect:
    """At most one a customer and cut: the sink takes the newest of a key to be the last of its cut."""
    return Effect(
        topics.PROFILES, id, body.customer, _json(body), "oncue.profile", body.as_of, arrived, cause
    )


def decision(id: str, body: outbound.Decision, arrived: int, cause: str, correlation: str = "") -> Effect:
    return Effect(
        topics.DECISIONS, id, body.customer, _json(body), f"oncue.decision.{body.reason.split(' ')[0]}",
        body.decided_at, arrived, cause, correlation,
    )  # fmt: skip


def identity(body: outbound.Identity, arrived: int) -> Effect:
    return Effect(
        topics.IDENTITIES, f"merge:{body.retired}:{body.customer}", body.customer, _json(body),
        "oncue.identity.merged", body.at, arrived, body.cause,
    )  # fmt: skip


def dead_letter(
    place: str, offset: int, at: int, arrived: int, stage: str, reason: str, detail: str, original: bytes
) -> Effect:
    topic, _, partition = place.rpartition("/")
    where = f"{place}/{offset}"
    body = outbound.DeadLetter(topic, int(partition), offset, stage, reason, detail, original)
    return Effect(
        topics.DEAD_LETTERS, f"dead:{where}", where, _json(body), "oncue.dead-letter", at, arrived, where
    )


def ledger(cut: int, shard: str, counts: dict[str, dict[str, int]]) -> Effect:
    body = outbound.Ledger(cut, shard, counts)
    return Effect(topics.LEDGER, f"ledger:{shard}:{cut}", shard, _json(body), "oncue.ledger", 0, 0)


def move(number: int, winner: str, payload: bytes) -> Effect:
    return Effect(topics.MOVES, f"move:{number}", winner, payload, "oncue.move", 0, 0)


def command(name: str, body: bytes = b"{}") -> Effect:
    return Effect(topics.CONTROL, f"control:{name}", name, body, f"oncue.control.{name}", 0, 0)
