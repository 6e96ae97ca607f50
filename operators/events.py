"""The one full decode of an event, and everything about it that can be wrong, before any state changes."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from operators import patterns
from operators.enrichment import Enrichment
from operators.measures import BadValue, Form
from operators.money import minor_units
from operators.playbook import Playbook, Reaction
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
    """What the playbook takes from an event: its values as a row of a form (see `operators/measures.py`),
    what it says to rules, and the consent if it is one."""

    message: str
    form: str
    row: list[Any] | None
    signs: list[Sign]
    consent: ConsentUpdated | None


class _Plan(NamedTuple):
    """What to take from events of one name."""

    contract: type[msgspec.Struct] | None
    form: Form | None
    reactions: tuple[Reaction, ...]


class Reader:
    """Reads events as a playbook wants them. `read` raises BadEvent."""

    def __init__(self, playbook: Playbook, enrichment: Enrichment | None = None) -> None:
        self._playbook = playbook
        self._currency = playbook.currency
        self._fill = enrichment.fill if enrichment is not None else None
        self._plans: dict[str, _Plan] = {}
        self._sources: dict[str, str] = {}
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

    def read(self, raw: bytes, at: int, place: str, completed: bool = False) -> Reading:
        """Decode and validate an event that happened at `at` (ms) and lies in `place` (topic/partition)."""
        try:
            event = self._decode(raw)
        except msgspec.ValidationError as error:
            raise BadEvent("wrong-type", str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:  # in what the header left unread
            raise BadEvent("not-json", str(error)) from None
        name = event.event if event.event is not None and event.type == "track" else event.type
        contract, form, reactions = self._plans.get(name) or self._plan(name)
        properties = event.properties
        if self._fill is not None and not completed:
            self._fill(name, properties, at)
        checked: Any = None
        if contract is not None:
            try:
                checked = msgspec.convert(properties, contract)
            except msgspec.ValidationError as error:
                raise BadEvent("wrong-property", f"{name}: {error} of properties") from None
        row = None
        if form is not None:
            try:
                row = form.row(event, at, self._sources.get(place) or self._source(place))
            except BadValue as error:
                raise BadEvent(error.reason, str(error)) from None
        signs = [self._sign(it, name, properties, checked, at) for it in reactions] if reactions else []
        consent = checked if contract is ConsentUpdated else None
        return Reading(event.messageId, form.text if form is not None else "", row, signs, consent)

    def _plan(self, name: str) -> _Plan:
        book = self._playbook
        form = book.forms.get(name)
        plan = _Plan(PROPERTIES.get(name), form, book.reactions.get(name, ()))
        if form or plan.reactions or plan.contract:  # event names are the sender's: do not keep them all
            self._plans[name] = plan
        return plan

    def _source(self, place: str) -> str:
        """The playbook's name for the source that `place` belongs to."""
        topic = place.rpartition("/")[0]
        names = [name for name, its in self._playbook.topics.items() if its == topic]
        source = self._sources[place] = names[0] if names else topic
        return source

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
