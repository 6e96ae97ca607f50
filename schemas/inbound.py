"""What comes in: customer events in the Segment Spec, one JSON object per Kafka record.

`Event` is what the playbook reads of a record's value; what senders may put into it is in
`schemas/messages.py`, and all of that is accepted. `PROPERTIES` names, per track event, the properties that
are checked. Other properties, and track events with other names, are fine and kept for the playbook, but not
checked.

Times are RFC 3339 strings; money is a decimal number in major units with its ISO 4217 code beside it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from schemas import commerce, engagement, voice
from schemas.commerce import CartChanged
from schemas.common import Id
from schemas.voice import ConsentUpdated

__all__ = ["PROPERTIES", "CartChanged", "ConsentUpdated", "Event", "EventType", "Traits"]

EventType = Literal["track", "identify", "page", "screen", "group", "alias"]


class Traits(msgspec.Struct, gc=False):
    """The traits that identity is resolved by. Every trait is optional."""

    email: str | None = None
    phone: str | None = None
    name: str | None = None
    firstName: str | None = None
    lastName: str | None = None
    loyaltyNumber: str | None = None
    address: Any = None


class Device(msgspec.Struct, gc=False):
    """`token`: where push messages for it go."""

    id: str | None = None
    token: str | None = None


class Context(msgspec.Struct, gc=False):
    """Where the event happened. `generated` marks events that no real person caused."""

    device: Device | None = None
    traits: Traits | None = None
    sessionId: str | None = None
    generated: bool = False


class Event(msgspec.Struct, gc=False):
    """What one customer event says. When and whose it is was read before, see `operators/envelope.py`."""

    type: EventType
    messageId: Id
    event: str | None = None
    traits: Traits | None = None
    context: Context | None = None
    properties: dict[str, Any] = {}


PROPERTIES: dict[str, type[msgspec.Struct]] = commerce.EVENTS | engagement.EVENTS | voice.EVENTS
