"""Effects: what a step wants done, as data. The flow carries them out, the sink exactly once."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from schemas import outbound, topics
from schemas.churn import Example

_json = msgspec.json.Encoder().encode


class Effect(NamedTuple):
    """One record for an output topic. `topic` is a code of `schemas.topics`; `id` is the same
    whenever the same decision is repeated; `arrived` (broker time, ms) is when its cause came in. It is
    counted by `group`, a rule's name or a stage, and `reason`; `trace` is its traceparent."""

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
    group: str = ""
    reason: str = ""
    trace: str = ""


def trigger(
    id: str, body: outbound.Trigger, arrived: int, cause: str, correlation: str, expires: int
) -> Effect:
    return Effect(
        topics.TRIGGERS, id, body.customer, _json(body), f"oncue.trigger.{body.rule}",
        body.decided_at, arrived, cause, correlation, expires, body.rule,
    )  # fmt: skip


def cancelled(id: str, body: outbound.TriggerCancelled, arrived: int, cause: str, correlation: str) -> Effect:
    """On the topic of triggers, behind the trigger it cancels."""
    return Effect(
        topics.TRIGGERS, id, body.customer, _json(body), f"oncue.trigger-cancelled.{body.rule}",
        body.cancelled_at, arrived, cause, correlation, 0, body.rule, body.reason,
    )  # fmt: skip


def profile(id: str, body: outbound.Profile, arrived: int, cause: str) -> Effect:
    """At most one a customer and cut: the sink takes the newest of a key to be the last of its cut."""
    return Effect(
        topics.PROFILES, id, body.customer, _json(body), "oncue.profile", body.as_of, arrived, cause
    )


def example(subject: str, body: Example, arrived: int) -> Effect:
    """A label for the learner of `subject`."""
    kind = f"{subject}-example"
    return Effect(
        topics.EXAMPLES[subject], f"{kind}:{body.customer}:{body.at}", body.customer, _json(body),
        f"oncue.{kind}", body.known_at, arrived,
    )  # fmt: skip


def decision(id: str, body: outbound.Decision, arrived: int, cause: str, correlation: str = "") -> Effect:
    reason = body.reason.split(" ")[0]
    return Effect(
        topics.DECISIONS, id, body.customer, _json(body), f"oncue.decision.{reason}",
        body.decided_at, arrived, cause, correlation, 0, body.rule, reason,
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
        topics.DEAD_LETTERS, f"dead:{where}", where, _json(body), "oncue.dead-letter", at, arrived, where,
        group=stage, reason=reason,
    )  # fmt: skip


def dead_part(customer: str, rule: str, at: int, arrived: int, error: Exception, part: bytes) -> Effect:
    """What a customer had open of a rule, put aside because it cannot be decided."""
    what = f"trigger {rule} of {customer}: {type(error).__name__}: {error}"
    body = outbound.DeadLetter("", -1, -1, "trigger", "failed", what, part)
    id = f"dead:{customer}:{rule}:{at}"
    return Effect(
        topics.DEAD_LETTERS, id, customer, _json(body), "oncue.dead-letter", at, arrived, customer,
        group="trigger", reason="failed",
    )  # fmt: skip


def dead_move(number: int, customer: str, arrived: int, error: str, record: bytes) -> Effect:
    """A record that could not be merged into `customer`; it is kept here whole."""
    body = outbound.DeadLetter("", -1, -1, "merge", "failed", f"move {number} to {customer}: {error}", record)
    id = f"dead:move:{number}"
    return Effect(
        topics.DEAD_LETTERS, id, id, _json(body), "oncue.dead-letter", -1, arrived, f"move:{number}",
        group="merge", reason="failed",
    )  # fmt: skip


def dead_model(place: str, offset: int, arrived: int, error: str, original: bytes) -> Effect:
    """A published model that cannot be used."""
    where = f"{place}/{offset}"
    body = outbound.DeadLetter("", -1, -1, "model", "incompatible", f"{where}: {error}", original)
    return Effect(
        topics.DEAD_LETTERS, f"dead:{where}", where, _json(body), "oncue.dead-letter", -1, arrived, where
    )


def dead_candidate(decision: Effect, detail: str) -> Effect:
    """A trigger's candidate that could not be decided; the original is the decision that says so."""
    body = outbound.DeadLetter("", -1, -1, "trigger", "condition-failed", detail, decision.body)
    return decision._replace(
        topic=topics.DEAD_LETTERS, id=f"dead:{decision.id}", body=_json(body), type="oncue.dead-letter",
        group="trigger", reason="condition-failed",
    )  # fmt: skip


def conflict(customer: str, place: str, offset: int, at: int, arrived: int, message: str) -> Effect:
    """An event whose message id had come before, from the same topic, with another payload."""
    where = f"{place}/{offset}"
    facts = {"record": where}
    body = outbound.Decision("dedupe", customer, "same-id-other-payload", at, message, facts)
    return decision(f"conflict:{where}", body, arrived, where)


def ledger(cut: int, shard: str, counts: dict[str, dict[str, int]]) -> Effect:
    body = outbound.Ledger(cut, shard, counts)
    return Effect(topics.LEDGER, f"ledger:{shard}:{cut}", shard, _json(body), "oncue.ledger", 0, 0)


def move(number: int, winner: str, payload: bytes) -> Effect:
    return Effect(topics.MOVES, f"move:{number}", winner, payload, "oncue.move", 0, 0)


def command(name: str, times: int = 0, body: bytes = b"{}") -> Effect:
    """`times`: how often it was given before."""
    id = f"control:{name}:{times}" if times else f"control:{name}"
    return Effect(topics.CONTROL, id, name, body, f"oncue.control.{name}", 0, 0)
