"""The one full decode of an event, and everything about it that can be wrong, before any state changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NoReturn
from zlib import crc32

import msgspec
from msgspec import convert
from msgspec.structs import astuple

from operators.checks import check_of
from operators.churn.definition import PURCHASE, Deal
from operators.enrichment import Enrichment
from operators.expressions import Expression
from operators.identifiers import Identifiers
from operators.measures import BadValue, Form
from operators.money import currency_code, exact, millionths, unit
from operators.parts import Line
from operators.paths import compile_path
from operators.playbook import Playbook
from operators.rules import LINE, NUMBER, Reaction, Rule
from schemas.inbound import PROPERTIES, CartChanged, ConsentUpdated, Device, Event, Traits


class BadEvent(ValueError):
    """An event that cannot be used. `reason` is one word for counting, `str()` says what and where."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


# An event as a rule sees it: the rule, whether it begins or ends something there, the keys (none: all of
# them end), and what the rule looks at: the line of a basket, a thing, a number.
Sign = tuple[Rule, bool, tuple[str, ...], Any]

_fields: Final = astuple  # what is final is not looked up by its name

MOST_NAMES: Final = 1_000  # of events that are remembered: they are the sender's

# Events that say that an address does not work, and what kind of address it is.
FAILURES = {
    "Email Bounced": "email", "Email Marked as Spam": "email", "Unsubscribed": "email",
    "SMS Failed": "phone", "Push Notification Bounced": "push", "Application Uninstalled": "push",
}  # fmt: skip


# What the playbook takes from an event: the message id; its values as a row of a form, and the form (see
# `operators/measures.py`); what it says to rules; the consent if it is one; the addresses it names: "email:"
# and a checksum, and when it was found not to work (-1: it is only named); and what it is to what is
# foretold (subject, what).
Reading = tuple[
    str,
    str,
    list[Any] | None,
    list[Sign],
    ConsentUpdated | None,
    Sequence[tuple[str, int]],
    tuple[tuple[str, Any], ...],
]


class _Plan:
    """What to take from events of one name. `check`: what they say is surely right where it passes; None
    where it is wanted as the contract has it. `bought`: it is a purchase, and says what it is worth.
    `failure`: an address did not work."""

    def __init__(
        self,
        contract: type[msgspec.Struct] | None,
        form: Form | None,
        reactions: tuple[Reaction, ...],
        news: tuple[tuple[str, Any], ...],
        bought: bool,
        failure: bool,
    ) -> None:
        self.contract = contract
        self.consents = contract is ConsentUpdated
        self.check = None if contract in (None, CartChanged, ConsentUpdated) else check_of(contract)
        self.form = form
        self.reactions = reactions
        self.news = news
        self.bought = bought
        self.failure = failure


class Reader:
    """Reads events as a playbook wants them. `read` raises BadEvent."""

    def __init__(self, playbook: Playbook, enrichment: Enrichment | None = None) -> None:
        self._playbook = playbook
        self._currency = playbook.currency
        self._cents = unit(playbook.currency)
        self._identifiers = Identifiers(playbook.policies, playbook.region)
        self._enrichment = enrichment
        churn = playbook.foretold.get("churn")
        self._worth = compile_path(churn.definition.value) if churn and churn.definition.value else None
        self._plans: dict[str, _Plan] = {}
        self._sources: dict[str, str] = {}
        self._decode = msgspec.json.Decoder(Event).decode

    def complete(self, raw: bytes, at: int) -> bytes:
        """The event with what reference data adds to it; as it is when it cannot be read."""
        try:
            event = self._decode(raw)
            self._tidy(event.properties)
            if self._enrichment is not None:
                self._enrichment.fill(_name(event.type, event.event), event.properties, at)
            return msgspec.json.encode(event)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):  # said when it is read
            return raw

    def read(self, raw: bytes, at: int, place: str, completed: bool = False) -> Reading:
        """Decode and validate an event that happened at `at` (ms) and lies in `place` (topic/partition)."""
        try:
            event = self._decode(raw)
        except msgspec.ValidationError as error:
            raise BadEvent("wrong-type", str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:  # in what the header left unread
            raise BadEvent("not-json", str(error)) from None
        # At once: each attribute of a Struct takes half as long as all of them.
        kind, message, named, traits, context, properties = _fields(event)
        name = _name(kind, named)
        plan = self._plans.get(name) or self._plan(name)
        contract, check, form, news = plan.contract, plan.check, plan.form, plan.news
        currency = self._tidy(properties)
        if self._enrichment is not None and not completed:
            self._enrichment.fill(name, properties, at)
        checked: Any = None
        if contract is not None and (check is None or not check.passes(properties)):
            try:
                checked = convert(properties, contract)
            except msgspec.ValidationError as error:
                raise BadEvent("wrong-property", f"{name}: {error} of properties") from None
        device = theirs = session = None
        if context is not None:
            device, theirs, session, _ = _fields(context)
        row = None
        if form is not None:
            source = self._sources.get(place) or self._source(place)
            try:
                row = form.row(properties, currency, session, at, source)
            except BadValue as error:
                raise BadEvent(error.reason, str(error)) from None
        reactions = plan.reactions
        signs = self._signs(reactions, name, properties, currency, checked, at) if reactions else []
        if plan.bought:
            news = (("churn", self._deal(name, properties, currency)), *news)
        consent = checked if plan.consents else None
        addresses: Sequence[tuple[str, int]] = ()
        if traits is not None or theirs is not None or device is not None or plan.failure:
            addresses = self._addresses([traits, theirs], device, name, at)
        return message, form.text if form is not None else "", row, signs, consent, addresses, news

    def _tidy(self, properties: dict[str, Any]) -> Any:
        """Put the currency right, and say what it is."""
        given = properties.get("currency")
        if given is not None and given != self._currency:
            given = properties["currency"] = currency_code(given)
        return given

    def _plan(self, name: str) -> _Plan:
        book = self._playbook
        form = book.forms.get(name)
        means = {subject: it.definition.means(name) for subject, it in book.foretold.items()}
        bought = self._worth is not None and means.get("churn") == PURCHASE
        if bought:
            del means["churn"]
        news = tuple((subject, what) for subject, what in means.items() if what is not None)
        plan = _Plan(PROPERTIES.get(name), form, book.reactions.get(name, ()), news, bought, name in FAILURES)
        if len(self._plans) >= MOST_NAMES:
            self._plans.clear()
        self._plans[name] = plan
        return plan

    def _deal(self, name: str, properties: dict[str, Any], currency: Any) -> Deal:
        """A purchase and what it is worth; what does not say is worth nothing that is known."""
        assert self._worth is not None
        if currency is not None and currency != self._currency:
            said = f"churn is in {self._currency}, the event in {currency!r:.40}"
            raise BadEvent("other-currency", said)
        try:
            worth = 0
            for value in self._worth(properties):
                worth += exact(value, self._cents)
            return True, worth
        except ValueError as error:
            raise BadEvent("wrong-property", f"{name}: churn: {error}") from None

    def _source(self, place: str) -> str:
        """The playbook's name for the source that `place` belongs to."""
        topic = place.rpartition("/")[0]
        names = [name for name, its in self._playbook.topics.items() if its == topic]
        source = self._sources[place] = names[0] if names else topic
        return source

    def _signs(
        self,
        reactions: tuple[Reaction, ...],
        name: str,
        properties: dict[str, Any],
        currency: Any,
        checked: Any,
        at: int,
    ) -> list[Sign]:
        found: list[Sign] = []
        keys: tuple[str, ...]
        what: Any
        for rule, begins, key, field, only, takes, what_field in reactions:
            if only is not None and not self._counts(only, rule, name, properties):
                continue
            if field:
                value = properties.get(field)
                keys = () if value is None else (value,) if type(value) is str else _no_text(name, value)
            elif key is None:
                keys = ()
            else:
                keys = _texts(name, key(properties))
            if begins and not keys:
                if not rule.keyless:
                    continue
                keys = ("",)
            what = None
            if takes == LINE:
                what = self._line(rule, name, properties, checked, at)
            elif takes:
                what = properties.get(what_field) if what_field else self._first(rule, properties)
                if takes == NUMBER:
                    what = self._amount(rule, name, what, currency)
                elif what is not None and type(what) is not str:
                    said = f"{name}: trigger {rule.name}: expected text, got {what!r:.60}"
                    raise BadEvent("wrong-property", said)
                if what is None:
                    continue
            found.append((rule, begins, keys, what))
        return found

    def _first(self, rule: Rule, properties: dict[str, Any]) -> Any:
        return next(iter(rule.what(properties)), None) if rule.what is not None else None

    def _counts(self, only: Expression, rule: Rule, name: str, properties: dict[str, Any]) -> bool:
        try:
            return only.test(properties)
        except Exception as error:
            said = f"{name}: trigger {rule.name}, only: {type(error).__name__}: {error}"
            raise BadEvent("condition-failed", said) from None

    def _line(self, rule: Rule, name: str, properties: dict[str, Any], checked: Any, at: int) -> Line:
        try:
            line = checked if type(checked) is CartChanged else convert(properties, CartChanged)
            price = None if line.price is None else exact(line.price, self._cents)
        except ValueError as error:
            raise BadEvent("wrong-property", f"{name}: {error} of properties") from None
        quantity = -line.quantity if name in rule.removes else line.quantity
        return Line(at, line.product_id, quantity, price, line.name)

    def _amount(self, rule: Rule, name: str, value: Any, currency: Any) -> int | None:
        """A number in exact units; None when there is none, or in another currency."""
        try:
            if value is None:
                return None
            if rule.unit == "number":
                return millionths(value)
            if currency is not None and currency != self._currency:
                return None
            return exact(value, self._cents)
        except ValueError as error:
            raise BadEvent("wrong-property", f"{name}: trigger {rule.name}: {error}") from None

    def _addresses(
        self, said: Sequence[Traits | None], device: Device | None, name: str, at: int
    ) -> list[tuple[str, int]]:
        keys: list[str] = []
        for traits in said:
            if traits is not None:
                email = self._identifiers.email_key(traits.email) if traits.email else None
                phone = self._identifiers.phone_key(traits.phone, traits.address) if traits.phone else None
                keys += [key for key in (email, phone) if key is not None]
        if device is not None and device.token:
            keys.append(f"push:{device.token}")
        failed = FAILURES.get(name)
        found = {}
        for key in keys:
            kind, _, address = key.partition(":")
            found[f"{kind}:{crc32(address.encode()):08x}"] = at if kind == failed else -1
        if failed is not None and not any(when == at for when in found.values()):
            found[f"{failed}:"] = at
        return list(found.items())


def _name(kind: str, named: str | None) -> str:
    """What the playbook calls an event of this type."""
    return named if named is not None and kind == "track" else kind


def _texts(name: str, keys: list[Any]) -> tuple[str, ...]:
    for key in keys:
        if type(key) is not str:
            _no_text(name, key)
    return tuple(keys)


def _no_text(name: str, key: Any) -> NoReturn:
    raise BadEvent("wrong-property", f"{name}: a key must be text, got {key!r:.40}")
