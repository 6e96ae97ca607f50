"""From an open pattern to a trigger or to a decision with its reason, and the end of a trigger's reason."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from operators import effects, patterns, told
from operators.effects import Effect
from operators.facts import feature_values
from operators.guards import held_back
from operators.money import MILLION
from operators.parts import Core, Patterns, Sent
from operators.patterns import Basket
from operators.playbook import Playbook
from operators.records import Record
from operators.rules import Rule
from schemas import durations
from schemas.currency import digits
from schemas.outbound import BasketLine, Decision, Trigger, TriggerCancelled

MOST_SENT = 64  # triggers of one customer that are remembered until they expire


class Reason(NamedTuple):
    """Why a rule may act: what began at `begun` came up at `at`, because of the event with the message
    id `cause`; `facts` are the kind's own."""

    key: str
    cause: str
    at: int
    begun: int
    facts: dict[str, Any]


def trigger_id(rule: Rule, customer: str, key: str, cause: str, since: int) -> str:
    """The same for the same decision, however often it is repeated: a hash of the rule's id, the
    rule's content, the customer at the decision, and the cause: key, message id and, because senders
    use a message id again, its time."""
    return _hash(rule.name, rule.hash, customer, key, cause, str(since))


def decide(
    playbook: Playbook,
    rule: Rule,
    record: Record,
    mine: Patterns,
    reason: Reason,
    watermark: int,
    arrived: int,
) -> Effect | None:
    """The effect of a reason; None when the rule's condition does not hold.

    Marks the pattern decided, and when a trigger goes out the cooldown, and remembers it until it expires.
    Raises what the condition raises; what to do then says `failed`.
    """
    key, cause, now = reason.key, reason.cause, reason.at
    pattern = mine.keys[key]
    pattern.fired = pattern.since
    core: Core = record.part("core")
    basket = patterns.basket(mine, pattern) if rule.basket else None
    own = reason.facts
    if basket is not None:
        own = own | {"basket_value": basket.value, "basket_items": basket.items}
    where, hidden = rule.where, playbook.hidden
    unknown = where is not None and bool(hidden) and not hidden.isdisjoint(where.names)
    if where is not None and not unknown:  # before all that it does not ask for, because it may well not hold
        asked = [name for name in rule.facts if name in where.names]
        if not where.test(feature_values(playbook, record, asked, now) | own):
            return None
    facts = feature_values(playbook, record, rule.facts, now) | own
    id = trigger_id(rule, record.id, key, cause, pattern.since)
    thread = _thread(rule.name, key, cause)
    if unknown:
        return _decision(rule, record.id, reason._replace(facts=facts), "backfilling", id, arrived)
    held = held_back(core, rule, now, watermark - now)
    if held:
        return _decision(rule, record.id, reason._replace(facts=facts), held, id, arrived)
    core.cooldowns[rule.name] = max(now, core.cooldowns.get(rule.name, -1))
    sent: dict[str, Sent] = record.part("sent")
    if len(sent) >= MOST_SENT:
        del sent[min(sent, key=lambda one: (sent[one].expires, one))]
    sent[id] = Sent(rule.name, key, record.id, cause, reason.begun, now + rule.expires)
    body = Trigger(
        rule=rule.name,
        rule_hash=rule.hash,
        customer=record.id,
        channel=rule.channel,
        purpose=rule.purpose,
        why=_why(playbook, rule, key, facts, basket),
        decided_at=now,
        key=key,
        facts=facts,
        basket=[BasketLine(line.product, line.quantity, line.price, line.name) for line in basket.lines]
        if basket
        else [],
        currency=playbook.currency,
    )
    return effects.trigger(id, body, arrived, cause, thread, now + rule.expires)


def failed(
    playbook: Playbook,
    rule: Rule,
    record: Record,
    mine: Patterns,
    reason: Reason,
    arrived: int,
    error: Exception,
) -> list[Effect]:
    """A reason that could not be decided, because the condition or a feature in it raised `error`: a
    decision that says so, and a dead letter. It counts as decided."""
    pattern = mine.keys[reason.key]
    pattern.fired = pattern.since
    try:
        facts = feature_values(playbook, record, rule.facts, reason.at) | reason.facts
    except Exception:
        facts = reason.facts
    what = f"{type(error).__name__}: {error}"
    id = trigger_id(rule, record.id, reason.key, reason.cause, pattern.since)
    told = reason._replace(facts=facts)
    held = _decision(rule, record.id, told, f"condition-failed {what}", id, arrived)
    asked = "".join(
        f" {name} {it.text!r}" for name, it in (("when", rule.when), ("where", rule.where)) if it is not None
    )
    return [held, effects.dead_candidate(held, f"trigger {rule.name}{asked}: {what}")]


def _decision(rule: Rule, customer: str, reason: Reason, held: str, id: str, arrived: int) -> Effect:
    body = Decision(
        rule.name, customer, held, reason.at, reason.key, reason.facts, rule.hash, rule.channel, rule.purpose
    )  # fmt: skip
    cause = reason.cause
    return effects.decision(id, body, arrived, cause, _thread(rule.name, reason.key, cause))


def cancel(
    playbook: Playbook, record: Record, at: int, cause: str, watermark: int, arrived: int
) -> Iterator[Effect]:
    """The end of every trigger whose reason is gone after the event `cause` at `at`, once each, in the
    order of their ids. It goes to the customer the trigger went to, so that it comes behind it.

    What counts is when things happened: what took the reason away before the trigger went out but was
    learnt of later cancels it as well. Triggers that expired by `at` or `watermark` are left alone.
    """
    sent: dict[str, Sent] = record.look("sent")
    for id in sorted(sent):
        one = sent[id]
        if one.expires < watermark:
            del record.part("sent")[id]
            continue
        rule = playbook.rules.get(one.rule)
        if rule is None or one.expires < at:
            continue
        gone = _gone(rule, record, one)
        if gone:
            del record.part("sent")[id]
            body = TriggerCancelled(
                id, one.rule, one.customer, gone, at, one.key, rule.hash, rule.channel, rule.purpose
            )
            yield effects.cancelled(
                _hash("cancelled", id), body, arrived, cause, _thread(one.rule, one.key, one.cause)
            )
    if not sent:
        record.drop("sent")


def _gone(rule: Rule, record: Record, sent: Sent) -> str:
    core: Core = record.look("core")
    consent = core.consents.get(f"{rule.purpose}/{rule.channel}")
    if consent is not None and not consent[1]:
        return "consent-withdrawn"
    mine: Patterns = record.look(rule.part)
    pattern = mine.keys.get(sent.key)
    if mine.until >= sent.begun or (pattern is not None and pattern.until >= sent.begun):
        return "ended"
    if pattern is None:
        return ""
    if rule.kind in ("threshold", "crossing"):
        return "no-longer-holds" if pattern.below >= sent.begun else ""
    return "emptied" if rule.basket and not patterns.basket(mine, pattern).items else ""


def _why(playbook: Playbook, rule: Rule, key: str, facts: dict[str, Any], basket: Basket | None) -> str:
    if rule.kind == "repeat":
        what = "different ones of " if rule.what is not None else "times "
        return f"{facts['times']} {what}{key} within {durations.show(rule.within)}"
    if rule.kind == "drop":
        before, now = (_shown(playbook, rule, facts[name]) for name in ("value_before", "value_now"))
        return f"{key} was {before} when last seen and is {now}"
    if rule.kind == "threshold":
        assert rule.when is not None
        held = ", ".join(f"{name} {facts[name]}" for name in sorted(rule.when.names))
        return f"{held} in {key or 'the cart'}" if basket is not None else held
    if rule.kind == "crossing":
        return "; ".join([f"{rule.of} is {facts[rule.of]:g}", *_reasons(rule, facts)])
    if rule.kind == "rise":
        rose = f"{rule.of} rose from {facts['value_before']:g} to {facts['value_now']:g}"
        return "; ".join([rose, *_reasons(rule, facts)])
    if basket is not None:
        return f"nothing for {durations.show(rule.wait)} after the last change of {key or 'the cart'}"
    return f"nothing for {durations.show(rule.wait)} after {key or 'it began'}"


def _reasons(rule: Rule, facts: dict[str, Any]) -> Sequence[str]:
    found: Sequence[str] = facts.get(f"{told.OF[rule.of]}_reasons", ())
    return found


def _shown(playbook: Playbook, rule: Rule, number: int) -> str:
    if rule.unit == "money":
        places = digits(playbook.currency)
        return f"{number / 10**places:.{places}f} {playbook.currency}"
    return f"{number / MILLION:g}"


def _thread(rule: str, key: str, cause: str) -> str:
    """What a trigger and its end have in common."""
    return _hash(rule, key, cause)


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()
