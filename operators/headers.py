"""The front's view of an event: its time and its identifiers, nothing else is decoded there.

Reading only the header costs a fifth of a full decode; the single writer of a scope does no more.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from operators import nesting
from operators.envelope import Header
from operators.identifiers import Identifiers

LAST = 4_102_444_800_000  # 2100: a moment that neither collector nor broker can have seen


class BadHeader(ValueError):
    """An event that cannot be placed in time or given to anybody. `reason` is one word for counting."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


_decode = msgspec.json.Decoder(Header).decode


def read(raw: bytes, arrived: int, identifiers: Identifiers) -> tuple[int, tuple[str, ...]]:
    """Event time (ms) and identifier keys, strongest first.

    `arrived` is the broker's timestamp in ms; an event cannot have happened after it arrived, so a
    later time is set back to it. Raises BadHeader.
    """
    if len(raw) > nesting.SAFE and nesting.too_deep(raw):
        raise BadHeader("not-json", f"nested more than {nesting.MOST} deep")
    try:
        head = _decode(raw)
    except msgspec.ValidationError as error:
        raise BadHeader("wrong-type", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadHeader("not-json", str(error)) from None
    except RecursionError:
        raise BadHeader("not-json", "nested too deeply") from None
    try:
        return _event_time(head, arrived), _keys(head, identifiers)
    except BadHeader:
        raise
    except Exception as error:
        raise BadHeader("failed", f"{type(error).__name__}: {error}") from None


def _keys(head: Header, identifiers: Identifiers) -> tuple[str, ...]:
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
    return keys


def _event_time(head: Header, arrived: int) -> int:
    """In ms. `timestamp` is right where `originalTimestamp` shows that the collector has corrected it;
    else it is, like `originalTimestamp`, what the device's clock said, which `sentAt` and `receivedAt`
    tell how far off it was (Segment Spec, common fields)."""
    latest = arrived if 0 < arrived < LAST else LAST
    received = None
    if head.receivedAt is not None:
        received = milliseconds(head.receivedAt)
        latest = min(latest, received)
    if head.timestamp is not None and (head.originalTimestamp is not None or head.sentAt is None):
        at = milliseconds(head.timestamp)
    else:
        device = head.originalTimestamp or head.timestamp
        if device is None:
            at = latest
        else:
            at = milliseconds(device)
            if received is not None and head.sentAt is not None:
                at += received - milliseconds(head.sentAt)
    return max(0, min(at, latest))


def milliseconds(moment: datetime) -> int:
    """Since 1970; a time without a zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
