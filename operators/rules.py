"""Triggers of a playbook, compiled: rules, and which event does what to which rule."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from operators import told
from operators.expressions import Expression
from operators.hints import near
from operators.money import millionths, minor_units
from operators.paths import Getter, field_of
from operators.patterns import Room
from schemas import playbook as form

BASKET_FACTS = ("basket_value", "basket_items")
KIND_FACTS = {
    "repeat": ("times",), "drop": ("value_before", "value_now"), "rise": ("value_before", "value_now"),
}  # fmt: skip
ADDRESSES = {"email": "email", "sms": "phone", "push": "push"}

# What each kind needs, and what it may have that not all kinds have.
_NEEDS = {
    "absence": ("wait",), "repeat": ("times", "within"), "threshold": ("when",),
    "drop": ("value", "by", "within"), "crossing": ("of", "above"), "rise": ("of", "by", "within"),
}  # fmt: skip
_MAY = {"repeat": ("distinct",), "drop": ("unit",), "crossing": ("until",)}
OF_SCORES = ("crossing", "rise")  # kinds that are about scores, not about events
KEYLESS = ("absence", "threshold")  # kinds that may be about the customer as a whole
_OWN = frozenset(name for names in (*_NEEDS.values(), *_MAY.values()) for name in names)
_EXAMPLE = {
    "wait": "a duration such as 15m", "within": "a duration such as 2h", "times": "a number, 2 or more",
    "when": "a condition such as basket_value >= 30000", "value": "a path such as properties.price",
    "by": "a share such as 5% or an amount such as 10", "of": "a score such as churn_probability",
    "above": "a number such as 0.7", "on": "the events that begin it",
    "key": "a path such as properties.cart_id",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Rule:
    """A trigger of the playbook, compiled. Durations in ms. `part` names the part of a customer's
    record that holds its open patterns; `address` is what its channel needs, empty for nothing.
    `what` gives what a repetition or a drop looks at, besides the key; `of` is the score that a crossing
    or a rise looks at."""

    name: str
    part: str
    hash: str
    kind: str
    wait: int
    within: int
    times: int
    what: Getter | None
    unit: str
    by_share: float
    by_amount: int
    of: str
    above: float
    until: float
    basket: bool
    removes: frozenset[str]
    when: Expression | None
    where: Expression | None
    facts: tuple[str, ...]
    channel: str
    purpose: str
    address: str
    cooldown: int
    expires: int
    room: Room

    @property
    def keyless(self) -> bool:
        """Whether an event without a key counts as the customer's one: a shop with one cart a customer."""
        return self.kind in KEYLESS


NOTHING: Final = 0
LINE: Final = 1
THING: Final = 2
NUMBER: Final = 3


class Reaction(NamedTuple):
    """What an event does to a rule: `begins` it where `only` holds, or takes its reason away. `key` None:
    for all keys. `takes` says what the rule looks at in the event, besides the key. `field` and
    `what_field` are the property where it is just that."""

    rule: Rule
    begins: bool
    key: Getter | None
    field: str
    only: Expression | None = None
    takes: int = NOTHING
    what_field: str = ""


class Checker(Protocol):
    """Tells mistakes, and compiles what a value of the playbook means."""

    def wrong(self, line: int, path: str, problem: str) -> None: ...
    def duration(self, line: int, path: str, value: str) -> int: ...
    def path(self, line: int, path: str, value: str) -> Getter: ...
    def written(self, section: str) -> Collection[str]: ...
    def line(self, section: str, name: str) -> int: ...


def compile_rules(
    checker: Checker,
    triggers: Mapping[str, form.Trigger],
    features: Collection[str],
    channels: Mapping[str, form.Channel],
    currency: str,
) -> tuple[dict[str, Rule], dict[str, tuple[Reaction, ...]]]:
    """The rules by name, and by event name what the event does to them."""
    addresses = ADDRESSES | {
        name: "" if channel.address == "nothing" else channel.address for name, channel in channels.items()
    }
    rules: dict[str, Rule] = {}
    reactions: dict[str, list[Reaction]] = defaultdict(list)
    for name, trigger in triggers.items():
        one = _One(checker, f"triggers.{name}", checker.line("triggers", name), trigger, features)
        rule = rules[name] = one.rule(name, addresses.get(trigger.channel, ""), currency)
        for unless in trigger.unless:
            getter = one.path("unless.key", unless.key) if unless.key else None
            reactions[unless.on].append(Reaction(rule, False, getter, field_of(unless.key or "")))
        only = one.condition("only", trigger.only, None)
        what = trigger.distinct or trigger.value
        key = one.path("key", trigger.key) if trigger.key else None
        for event in trigger.on:
            reactions[event].append(
                Reaction(rule, True, key, field_of(trigger.key), only, _takes(rule), field_of(what or ""))
            )
    return rules, {event: tuple(found) for event, found in reactions.items()}


def _takes(rule: Rule) -> int:
    if rule.basket:
        return LINE
    if rule.what is None:
        return NOTHING
    return NUMBER if rule.kind == "drop" else THING


class _One:
    """One trigger under the eye of the checker."""

    def __init__(
        self,
        checker: Checker,
        at: str,
        line: int,
        trigger: form.Trigger,
        features: Collection[str],
    ) -> None:
        self._checker, self._at, self._line = checker, at, line
        self._trigger, self._features = trigger, features
        self._known = {*features, *checker.written("features")}

    def rule(self, name: str, address: str, currency: str) -> Rule:
        trigger = self._trigger
        self._check()
        basket = BASKET_FACTS if trigger.basket else ()
        when = self.condition("when", trigger.when, {*self._known, *basket})
        facts = {*self._known, *basket, *KIND_FACTS.get(trigger.kind, ())}
        where = self.condition("where", trigger.where, facts)
        what = trigger.distinct or trigger.value
        unit = trigger.unit or "money"
        share, amount = self._by(unit, currency)
        wait, within = self._duration("wait", trigger.wait), self._duration("within", trigger.within)
        cooldown = self._duration("cooldown", trigger.cooldown)
        expires = self._duration("expires", trigger.expires)
        read = [name for it in (when, where) if it for name in sorted(it.names) if name in self._features]
        return Rule(
            name=name,
            part=f"p:{name}",
            hash=digest(msgspec.to_builtins(trigger)),
            kind=trigger.kind,
            wait=wait,
            within=within,
            times=trigger.times or 0,
            what=self.path("distinct" if trigger.distinct else "value", what) if what else None,
            unit=unit,
            by_share=share,
            by_amount=amount,
            of=trigger.of or "",
            above=trigger.above or 0.0,
            until=(trigger.above or 0.0) if trigger.until is None else trigger.until,
            basket=trigger.basket,
            removes=frozenset(trigger.removes),
            when=when,
            where=where,
            facts=tuple(dict.fromkeys([*trigger.facts, *read])),
            channel=trigger.channel,
            purpose=trigger.purpose,
            address=address,
            cooldown=cooldown,
            expires=expires,
            room=Room(
                horizon=max(wait, within) + max(expires, cooldown),
                lasting=trigger.kind in ("absence", "threshold"),
                basket=trigger.basket,
            ),
        )

    def condition(self, name: str, text: str | None, known: Collection[str] | None) -> Expression | None:
        if text is None:
            return None
        try:
            return Expression(text, known)
        except ValueError as error:
            self._wrong(name, str(error))
            return None

    def path(self, name: str, value: str) -> Getter:
        return self._checker.path(self._line, f"{self._at}.{name}", value)

    def _check(self) -> None:
        trigger = self._trigger
        kind = trigger.kind
        events = ("on", "key")
        asked = () if kind in OF_SCORES else ("on",) if kind in KEYLESS else events
        for name in (*_NEEDS[kind], *asked):
            if getattr(trigger, name) in (None, [], ""):
                self._wrong(name, f"is missing; give {_EXAMPLE[name]}")
        if kind in OF_SCORES:
            for name in (*events, "basket", "removes", "only"):
                if getattr(trigger, name):
                    self._wrong(name, f"has no meaning for kind {kind}")
            if trigger.of is not None and trigger.of not in self._known:
                self._wrong("of", f"{trigger.of} needs the section {told.OF[trigger.of]}")
        if trigger.until is not None and trigger.above is not None and trigger.until > trigger.above:
            self._wrong("until", f"must be {trigger.above:g} or less: below it the trigger may come again")
        for name in sorted(_OWN - {*_NEEDS[kind], *_MAY.get(kind, ())}):
            if getattr(trigger, name) is not None:
                self._wrong(name, f"has no meaning for kind {kind}")
        if trigger.times is not None and trigger.times < 2:
            self._wrong("times", "a repeat needs times: 2 or more")
        for fact in trigger.facts:
            if fact not in self._known:
                self._wrong("facts", f"unknown feature {fact!r}{near(fact, self._known)}")
        for event in trigger.removes:
            if event not in trigger.on:
                self._wrong("removes", f"{event!r} must be in on as well")

    def _by(self, unit: str, currency: str) -> tuple[float, int]:
        if self._trigger.by is None or self._trigger.kind not in ("drop", "rise"):
            return 0.0, 0
        text = str(self._trigger.by)
        found = re.match(r"^\s*(\d{1,9}(?:\.\d+)?)\s*(%?)\s*$", text)
        number = float(found[1]) if found else 0.0
        if not found or not number or (found[2] and number >= 100):
            self._wrong("by", f"{text!r} is neither a share such as 5% nor an amount such as 10")
        elif found[2]:
            return number / 100, 0
        else:
            money = unit == "money" and self._trigger.kind == "drop"
            return 0.0, minor_units(number, currency) if money else millionths(number)
        return 0.0, 0

    def _duration(self, name: str, value: str | None) -> int:
        return self._checker.duration(self._line, f"{self._at}.{name}", value) if value is not None else 0

    def _wrong(self, name: str, problem: str) -> None:
        self._checker.wrong(self._line, f"{self._at}.{name}", problem)


def digest(*parts: Any) -> str:
    return hashlib.blake2b(msgspec.json.encode(parts, order="deterministic"), digest_size=8).hexdigest()
