"""The front's view of an event: its time and its identifiers, nothing else is decoded there.

Reading only the header costs a fifth of a full decode; the single writer of a scope does no more.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec.structs import astuple

from operators.envelope import Context, Header
from operators.identifiers import Identifiers
from operators.nesting import MOST, SAFE, too_deep
from schemas.inbound import Traits

LAST: Final = 4_102_444_800_000  # 2100: a moment that neither collector nor broker can have seen


class BadHeader(ValueError):
    """An event that cannot be placed in time or given to anybody. `reason` is one word for counting."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


DAY: Final = 86_400_000
_EPOCH = datetime.fromtimestamp(0, UTC)
_decode = msgspec.json.Decoder(Header).decode


def read(raw: bytes, arrived: int, identifiers: Identifiers) -> tuple[int, tuple[str, ...]]:
    """Event time (ms) and identifier keys, strongest first.

    `arrived` is the broker's timestamp in ms; an event cannot have happened after it arrived, so a
    later time is set back to it. Raises BadHeader.
    """
    if len(raw) > SAFE and too_deep(raw):
        raise BadHeader("not-json", f"nested more than {MOST} deep")
    try:
        head = _decode(raw)
    except msgspec.ValidationError as error:
        raise BadHeader("wrong-type", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadHeader("not-json", str(error)) from None
    except RecursionError:
        raise BadHeader("not-json", "nested too deeply") from None
    try:
        kind, _, timestamp, original, sent, collected, user, anonymous, previous, context, traits = astuple(
            head
        )
        at = _event_time(timestamp, original, sent, collected, arrived)
        return at, _keys(kind, user, anonymous, previous, context, traits, identifiers)
    except BadHeader:
        raise
    except Exception as error:
        raise BadHeader("failed", f"{type(error).__name__}: {error}") from None


def _keys(
    kind: str,
    user: str | int | None,
    anonymous: str | int | None,
    previous: str | int | None,
    context: Context | None,
    traits: Traits | None,
    identifiers: Identifiers,
) -> tuple[str, ...]:
    if traits is not None and kind == "group":
        traits = None  # the group's, not the customer's
    device = theirs = None
    if context is not None:
        device, theirs = astuple(context)
    keys = identifiers.keys(user, anonymous, device.id if device is not None else None, traits)
    if previous is not None and kind == "alias":
        keys = identifiers.merged(keys, identifiers.keys(None, previous, None, None))
    if theirs is not None:
        more = identifiers.keys(None, None, None, theirs)
        keys = identifiers.merged(keys, more) if more else keys
    if not keys:
        raise BadHeader("no-identifier", "no usable identifier; junk values such as 'null' do not count")
    return keys


def _event_time(
    timestamp: datetime | None,
    original: datetime | None,
    sent: datetime | None,
    collected: datetime | None,
    arrived: int,
) -> int:
    """In ms. `timestamp` is right where `originalTimestamp` shows that the collector has corrected it;
    else it is, like `originalTimestamp`, what the device's clock said, which `sentAt` and `receivedAt`
    tell how far off it was (Segment Spec, common fields)."""
    latest = arrived if 0 < arrived < LAST else LAST
    received = -1
    if collected is not None:
        received = milliseconds(collected)
        latest = min(latest, received)
    if timestamp is not None and (original is not None or sent is None):
        at = milliseconds(timestamp)
    else:
        device = original or timestamp
        if device is None:
            at = latest
        else:
            at = milliseconds(device)
            if collected is not None and sent is not None:
                at += received - milliseconds(sent)
    return max(0, min(at, latest))


def milliseconds(moment: datetime) -> int:
    """Since 1970; a time without a zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    microseconds: int = since.microseconds
    rest = microseconds % 1000
    if rest == 500:  # as the float falls
        return round(moment.timestamp() * 1000)
    return since.days * DAY + since.seconds * 1000 + microseconds // 1000 + (rest > 500)
