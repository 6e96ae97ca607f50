"""Measures: which values an event has for the features, taken from it in one pass.

A measure's value is a property (`properties.total`), one or more values inside lists
(`properties.products[].price`), or something about the event itself: `session`, `source` (the name of
the topic's source in the playbook), `hour` (0 to 23) or `weekday` (0 is Monday) in the playbook's zone.

The session is `context.sessionId`; where a sender gives none, the half hour of event time that the event
falls into. A rule by gaps (a session ends with 30 silent minutes) would change with every late event; the
fixed half hour does not, and counts a visit that crosses its edge twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from operators.expressions import Expression
from operators.features import CLOSES
from operators.money import exact, millionths, unit
from operators.paths import Getter
from schemas.playbook import Unit

NOTHING: Final = 0
FIELD: Final = 1
PATH: Final = 2
SESSION: Final = 3
SOURCE: Final = 4
HOUR: Final = 5
WEEKDAY: Final = 6
ABOUT_THE_EVENT = {"session": SESSION, "source": SOURCE, "hour": HOUR, "weekday": WEEKDAY}
LONGEST: Final = 512  # characters of a text that is kept in state
QUARTER_HOUR: Final = 900_000
HALF_HOUR: Final = 1_800_000

_SIGNS: dict[Unit, str] = {"money": "$", "number": "#", "text": ""}


class BadValue(ValueError):
    """A value that a measure cannot use. `reason` is one word for counting."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Measure:
    """A stream of values. `take` says where a value comes from: FIELD, the property `field`; PATH, all
    that `getter` finds."""

    name: str
    unit: Unit
    take: int
    field: str
    getter: Getter | None
    where: Expression | None
    on: tuple[str, ...]
    closes: tuple[str, ...]
    generation: int = 0

    @property
    def slot(self) -> str:
        """The measure's name in state. With its unit: values of another unit do not mix with these; and with
        its generation, see `operators/slots.py`."""
        name = self.name + ("#" if self.take >= HOUR else _SIGNS[self.unit])
        return f"{name}/{self.generation}" if self.generation else name

    @property
    def plain(self) -> bool:
        """Whether the value is just one property, a text."""
        return self.take == FIELD and self.unit == "text" and self.where is None


class LocalTime:
    """Event times in a time zone.

    >>> clock = LocalTime("Europe/Vienna")
    >>> clock.hour(1_751_364_000_000), clock.weekday(1_751_364_000_000)  # Tuesday, 2025-07-01 12:00
    (12, 1)
    """

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._quarter, self._hour = -1, 0  # the last that was asked for

    def hour(self, at: int) -> int:
        quarter = at // QUARTER_HOUR  # zones change on the quarter hour
        if quarter != self._quarter:
            self._quarter, self._hour = quarter, self._local(at).hour
        return self._hour

    def weekday(self, at: int) -> int:
        return self._local(at).weekday()

    def _local(self, at: int) -> datetime:
        return datetime.fromtimestamp(at // 1000, self._zone)


class Form:
    """What to take from events of one name, for all measures at once.

    `row` gives [event time, value per slot of `text`], or None when there is no value; it raises BadValue.
    Properties that are plain text come first, they are most and need the least.
    """

    def __init__(self, event: str, measures: Sequence[Measure], currency: str, clock: LocalTime) -> None:
        slots = [
            (prefix + measure.slot, measure)
            for measure in measures
            for prefix, names in (("", measure.on), (CLOSES, measure.closes))
            if event in names
        ]
        slots.sort(key=lambda slot: not slot[1].plain)
        self.text = ",".join(slot for slot, _ in slots)
        self._currency = currency
        self._cents = unit(currency)
        self._clock = clock
        self._plain = [it.field for _, it in slots if it.plain]
        self._others = [it for _, it in slots if not it.plain]
        # Whether every event has a value.
        self._sure = any(it.take not in (FIELD, PATH) and it.where is None for it in self._others)

    def row(
        self, properties: dict[str, Any], currency: Any, session: str | None, at: int, source: str
    ) -> list[Any] | None:
        """`currency`: of the event, if it says."""
        row: list[Any] = [at]
        for field in self._plain:
            value = properties.get(field)
            if value is not None:
                _text("property", field, value)
            row.append(value)
        for it in self._others:
            take, found = it.take, None
            if take == FIELD:
                found = properties.get(it.field)
                if found is not None:
                    found = self._exact(it, found, currency)
            elif take == SESSION:
                found = session if session and len(session) <= LONGEST else f"~{at // HALF_HOUR}"
            elif take == HOUR:
                found = self._clock.hour(at)
            elif take == PATH:
                found = self._several(it, properties, currency)
            elif take == SOURCE:
                found = source
            elif take == WEEKDAY:
                found = self._clock.weekday(at)
            else:
                found = True
            if it.where is not None and found is not None and not self._holds(it, properties):
                found = None
            row.append(found)
        return row if self._sure or row.count(None) < len(row) - 1 else None

    def _several(self, measure: Measure, properties: dict[str, Any], currency: Any) -> Any:
        assert measure.getter is not None
        found = measure.getter(properties)
        if len(found) == 1:
            return self._exact(measure, found[0], currency)
        return [self._exact(measure, value, currency) for value in found] or None

    def _holds(self, measure: Measure, properties: Mapping[str, Any]) -> bool:
        where = measure.where
        assert where is not None
        try:
            return where.test({name: properties.get(name) for name in where.names})
        except Exception as error:
            raise BadValue(
                "wrong-property", f"measure {measure.name}: its condition {where.text!r} failed: {error}"
            ) from None

    def _exact(self, measure: Measure, value: Any, currency: Any) -> str | int:
        """A value in exact units."""
        name = measure.name
        try:
            if measure.unit == "number":
                return millionths(value)
            if measure.unit == "money":
                if currency is None or currency == self._currency:
                    return exact(value, self._cents)
                raise BadValue(
                    "other-currency", f"measure {name} is in {self._currency}, the event in {currency!r:.40}"
                )
        except BadValue:
            raise
        except ValueError as error:
            raise BadValue("wrong-property", f"measure {name}: {error}") from None
        return _text("measure", name, value)


def _text(what: str, name: str, value: Any) -> str:
    if type(value) is not str:
        raise BadValue("wrong-property", f"{what} {name}: expected text, got {value!r:.60}")
    if len(value) > LONGEST:
        raise BadValue("wrong-property", f"{what} {name}: longer than {LONGEST} characters")
    return value
