"""From an open pattern to a trigger or to a decision with its reason."""

from __future__ import annotations

import hashlib
from typing import Any

from operators import effects, patterns
from operators.effects import Effect
from operators.facts import feature_values
from operators.guards import held_back
from operators.patterns import Pattern, Patterns
from operators.playbook import Playbook, Rule
from operators.records import Core, Record
from schemas import durations
from schemas.outbound import BasketLine, Decision, Trigger


def trigger_id(rule: Rule, customer: str, key: str, cause: str, since: int) -> str:
    """The same for the same decision, however often it is repeated: a hash of the rule's id, the
    rule's content, the customer at the decision, and the cause: key, message id and, because senders
    use a message id again, its time."""
    return _hash(rule.name, rule.hash, customer, key, cause, str(since))


def decide(
    playbook: Playbook,
    rule: Rule,
    record: Record,
    open_patterns: Patterns,
    key: str,
    now: int,
    watermark: int,
    arrived: int,
) -> Effect | None:
    """The effect of a reason that came up at `now`; None when the rule's condition does not hold.

    Marks the pattern decided, and the cooldown when a trigger goes out. Raises what the condition
    raises; what to do then says `failed`.
    """
    pattern = open_patterns.keys[key]
    core: Core = record.part("core")
    facts = feature_values(playbook, record, rule.facts, now)
    basket = patterns.basket(open_patterns, pattern) if rule.basket else None
    if basket is not None:
        facts["basket_value"], facts["basket_items"] = basket.value, basket.items
    if rule.kind == "repeat":
        facts["times"] = patterns.repeated(open_patterns, pattern, rule.within)
    cause = pattern.cause
    pattern.fired = pattern.since
    id = trigger_id(rule, record.id, key, cause, pattern.since)
    thread = _hash(rule.name, key, cause)
    if rule.where is not None and not rule.where.test(facts):
        return None
    reason = held_back(core, rule, now, watermark - now)
    if reason:
        return effects.decision(
            id,
            Decision(
                rule.name, record.id, reason, now, key, facts, rule.hash, rule.channel, rule.purpose
            ),
            arrived, cause, thread,
        )  # fmt: skip
    core.cooldowns[rule.name] = max(now, core.cooldowns.get(rule.name, -1))
    body = Trigger(
        rule=rule.name,
        rule_hash=rule.hash,
        customer=record.id,
        channel=rule.channel,
        purpose=rule.purpose,
        why=_why(rule, pattern, key, facts),
        decided_at=now,
        key=key,
        facts=facts,
        basket=[BasketLine(line.product, line.quantity, line.price, line.name) for line in basket.lines]
        if basket
        else [],
        currency=playbook.currency if basket else None,
    )
    return effects.trigger(id, body, arrived, cause, thread, now + rule.expires)


def failed(
    playbook: Playbook,
    rule: Rule,
    record: Record,
    open_patterns: Patterns,
    key: str,
    now: int,
    arrived: int,
    error: Exception,
) -> list[Effect]:
    """A reason that could not be decided, because the condition or a feature in it raised `error`: a
    decision that says so, and a dead letter. It counts as decided."""
    pattern = open_patterns.keys[key]
    pattern.fired = pattern.since
    try:
        facts = feature_values(playbook, record, rule.facts, now)
    except Exception:
        facts = {}
    what = f"{type(error).__name__}: {error}"
    cause = pattern.cause
    body = Decision(
        rule.name,
        record.id,
        f"condition-failed {what}",
        now,
        key,
        facts,
        rule.hash,
        rule.channel,
        rule.purpose,
    )
    id = trigger_id(rule, record.id, key, cause, pattern.since)
    held = effects.decision(id, body, arrived, cause, _hash(rule.name, key, cause))
    where = "" if rule.where is None else f" where {rule.where.text!r}"
    return [held, effects.dead_candidate(held, f"trigger {rule.name}{where}: {what}")]


def _why(rule: Rule, pattern: Pattern, key: str, facts: dict[str, Any]) -> str:
    if rule.kind == "repeat":
        return f"{facts['times']} times {key} within {durations.show(rule.within)}"
    return f"nothing for {durations.show(rule.wait)} after the last change of {key or 'the cart'}"


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()
