"""The front's view of an event: its time and its identifiers, nothing else is decoded there.

Reading only the header costs a fifth of a full decode; the single writer of a scope does no more.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from operators.identifiers import Identifiers
from schemas.inbound import EventType, Traits


class BadHeader(ValueError):
    """An event that cannot be placed in time or given to anybody. `reason` is one word for counting."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class _Device(msgspec.Struct, gc=False):
    id: str | None = None


class _Context(msgspec.Struct, gc=False):
    device: _Device | None = None
    traits: Traits | None = None


class _Header(msgspec.Struct, gc=False):
    type: EventType
    messageId: str
    timestamp: datetime | None = None
    originalTimestamp: datetime | None = None
    sentAt: datetime | None = None
    receivedAt: datetime | None = None
    userId: str | int | None = None
    anonymousId: str | int | None = None
    previousId: str | int | None = None
    context: _Context | None = None
    traits: Traits | None = None


_decode = msgspec.json.Decoder(_Header).decode


def read(raw: bytes, arrived: int, identifiers: Identifiers) -> tuple[int, tuple[str, ...]]:
    """Event time (ms) and identifier keys, strongest first.

    `arrived` is the broker's timestamp in ms; an event cannot have happened after it arrived, so a
    later time is set back to it. Raises BadHeader.
    """
    try:
        head = _decode(raw)
    except msgspec.ValidationError as error:
        raise BadHeader("wrong-type", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadHeader("not-json", str(error)) from None
    except RecursionError:
        raise BadHeader("not-json", "nested too deeply") from None
    context = head.context
    traits = head.traits
    if traits is not None and head.type == "group":
        traits = None  # the group's, not the customer's
    keys = identifiers.keys(
        head.userId,
        head.anonymousId,
        context.device.id if context is not None and context.device is not None else None,
        traits,
    )
    if head.previousId is not None and head.type == "alias":
        keys = identifiers.merged(keys, identifiers.keys(None, head.previousId, None, None))
    if context is not None and context.traits is not None:
        more = identifiers.keys(None, None, None, context.traits)
        keys = identifiers.merged(keys, more) if more else keys
    if not keys:
        raise BadHeader("no-identifier", "no usable identifier; junk values such as 'null' do not count")
    return _event_time(head, arrived), keys


def _event_time(head: _Header, arrived: int) -> int:
    if head.timestamp is not None:
        at = _ms(head.timestamp)
    elif head.originalTimestamp is not None:
        at = _ms(head.originalTimestamp)
        if head.receivedAt is not None and head.sentAt is not None:
            at += _ms(head.receivedAt) - _ms(head.sentAt)
    elif head.receivedAt is not None:
        at = _ms(head.receivedAt)
    else:
        at = arrived
    latest = _ms(head.receivedAt) if head.receivedAt is not None else arrived
    return max(0, min(at, latest))


def _ms(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
