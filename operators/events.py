"""The one full decode of an event, and everything about it that can be wrong, before any state changes."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from operators.money import millionths, minor_units
from operators.playbook import Measure, Playbook
from schemas.inbound import PROPERTIES, ConsentUpdated, Event

_decode = msgspec.json.Decoder(Event).decode


class BadEvent(ValueError):
    """An event that cannot be used. `reason` is one word for counting, `str()` says what and where."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Reading(NamedTuple):
    """What the playbook takes from an event: its values per measure, and its consent if it is one."""

    event: Event
    name: str
    values: list[tuple[Measure, list[Any]]]
    consent: ConsentUpdated | None


def read(raw: bytes, playbook: Playbook) -> Reading:
    """Decode and validate against the contract and the playbook. Raises BadEvent."""
    try:
        event = _decode(raw)
    except msgspec.ValidationError as error:
        raise BadEvent("wrong-type", str(error)) from None
    name = event.event if event.type == "track" and event.event is not None else event.type
    contract = PROPERTIES.get(name)
    checked: Any = None
    if contract is not None:
        try:
            checked = msgspec.convert(event.properties, contract)
        except msgspec.ValidationError as error:
            raise BadEvent("wrong-property", f"{name}: {error} of properties") from None
    properties = event.properties
    values = []
    for measure in playbook.measured.get(name, ()):
        values.append((measure, _values(measure, properties, playbook.currency)))
    return Reading(event, name, values, checked if type(checked) is ConsentUpdated else None)


def _values(measure: Measure, properties: dict[str, Any], currency: str) -> list[Any]:
    if measure.value is None:
        return [None]
    found = measure.value(properties)
    if measure.unit == "text":
        if found and not all(type(item) is str for item in found):
            raise BadEvent("wrong-property", f"measure {measure.name}: expected text, got {found!r:.60}")
        return found
    try:
        if measure.unit == "number":
            return [millionths(item) for item in found]
        given = properties.get("currency")
        if given is not None and given != currency:
            raise BadEvent(
                "other-currency", f"measure {measure.name} is in {currency}, the event in {given!r}"
            )
        return [minor_units(item, currency) for item in found]
    except BadEvent:
        raise
    except ValueError as error:
        raise BadEvent("wrong-property", f"measure {measure.name}: {error}") from None
