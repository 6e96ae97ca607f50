"""The one full decode of an event, and everything about it that can be wrong, before any state changes."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from operators import patterns
from operators.enrichment import Enrichment
from operators.features import Tier
from operators.money import millionths, minor_units
from operators.playbook import Measure, Playbook, Reaction
from schemas.inbound import PROPERTIES, CartChanged, ConsentUpdated, Event


class BadEvent(ValueError):
    """An event that cannot be used. `reason` is one word for counting, `str()` says what and where."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Sign(NamedTuple):
    """An event as a rule sees it. No keys: the one default, or, for an `unless`, all of them."""

    reaction: Reaction
    keys: list[str]
    line: patterns.Line | None = None


class Reading(NamedTuple):
    """What the playbook takes from an event: values as (part of the record, its panes, value), what it
    says to rules, and the consent if it is one."""

    message: str
    values: list[tuple[str, tuple[Tier, ...], Any]]
    signs: list[Sign]
    consent: ConsentUpdated | None


class _Plan(NamedTuple):
    """What to take from events of one name."""

    contract: type[msgspec.Struct] | None
    measures: tuple[tuple[str, Measure], ...]
    reactions: tuple[Reaction, ...]


class Reader:
    """Reads events as a playbook wants them. `read` raises BadEvent."""

    def __init__(self, playbook: Playbook, enrichment: Enrichment | None = None) -> None:
        self._playbook = playbook
        self._currency = playbook.currency
        self._fill = enrichment.fill if enrichment is not None else None
        self._plans: dict[str, _Plan] = {}
        self._decode = msgspec.json.Decoder(Event).decode

    def complete(self, raw: bytes, at: int) -> bytes:
        """The event with what reference data adds to it; as it is when it cannot be read."""
        try:
            event = self._decode(raw)
            if self._fill is not None:
                name = event.event if event.event is not None and event.type == "track" else event.type
                self._fill(name, event.properties, at)
            return msgspec.json.encode(event)
        except Exception:  # what is wrong with it is said when it is read
            return raw

    def read(self, raw: bytes, at: int, completed: bool = False) -> Reading:
        """Decode and validate an event that happened at `at` (ms)."""
        try:
            event = self._decode(raw)
        except msgspec.ValidationError as error:
            raise BadEvent("wrong-type", str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:  # in what the header left unread
            raise BadEvent("not-json", str(error)) from None
        name = event.event if event.event is not None and event.type == "track" else event.type
        contract, measures, reactions = self._plans.get(name) or self._plan(name)
        properties = event.properties
        if self._fill is not None and not completed:
            self._fill(name, properties, at)
        checked: Any = None
        if contract is not None:
            try:
                checked = msgspec.convert(properties, contract)
            except msgspec.ValidationError as error:
                raise BadEvent("wrong-property", f"{name}: {error} of properties") from None
        values: list[tuple[str, tuple[Tier, ...], Any]] = []
        for part, measure in measures:
            if measure.value is None:
                values.append((part, measure.plan, None))
            elif measure.field:
                value = properties.get(measure.field)
                if value is not None:
                    if type(value) is not str or measure.unit != "text":
                        value = self._number(measure, value, properties)
                    values.append((part, measure.plan, value))
            else:
                for value in measure.value(properties):
                    if type(value) is not str or measure.unit != "text":
                        value = self._number(measure, value, properties)
                    values.append((part, measure.plan, value))
        signs = [self._sign(it, name, properties, checked, at) for it in reactions] if reactions else []
        return Reading(event.messageId, values, signs, checked if contract is ConsentUpdated else None)

    def _plan(self, name: str) -> _Plan:
        book = self._playbook
        measures = tuple((f"m:{measure.name}", measure) for measure in book.measured.get(name, ()))
        plan = _Plan(PROPERTIES.get(name), measures, book.reactions.get(name, ()))
        if measures or plan.reactions or plan.contract:  # event names are the sender's: do not keep them all
            self._plans[name] = plan
        return plan

    def _number(self, measure: Measure, value: Any, properties: dict[str, Any]) -> int:
        """A value that is not text, in exact units."""
        try:
            if measure.unit == "number":
                return millionths(value)
            if measure.unit == "money":
                given = properties.get("currency")
                if given is None or given == self._currency:
                    return minor_units(value, self._currency)
                raise BadEvent(
                    "other-currency",
                    f"measure {measure.name} is in {self._currency}, the event in {given!r:.40}",
                )
            raise ValueError(f"expected text, got {value!r:.60}")
        except BadEvent:
            raise
        except ValueError as error:
            raise BadEvent("wrong-property", f"measure {measure.name}: {error}") from None

    def _sign(self, reaction: Reaction, name: str, properties: dict[str, Any], checked: Any, at: int) -> Sign:
        rule = reaction.rule
        keys = reaction.key(properties) if reaction.key is not None else []
        for key in keys:
            if type(key) is not str:
                raise BadEvent("wrong-property", f"{name}: a key must be text, got {key!r:.40}")
        if not (rule.basket and reaction.begins):
            return Sign(reaction, keys)
        try:
            line = checked if type(checked) is CartChanged else msgspec.convert(properties, CartChanged)
            price = None if line.price is None else minor_units(line.price, self._currency)
        except ValueError as error:
            raise BadEvent("wrong-property", f"{name}: {error} of properties") from None
        quantity = -line.quantity if name in rule.removes else line.quantity
        return Sign(reaction, keys, patterns.Line(at, line.product_id, quantity, price, line.name))
