"""What the front decodes of an event."""

from __future__ import annotations

from datetime import datetime

import msgspec

from schemas.inbound import EventType, Traits


class Device(msgspec.Struct, gc=False):
    id: str | None = None


class Context(msgspec.Struct, gc=False):
    device: Device | None = None
    traits: Traits | None = None


class Header(msgspec.Struct, gc=False):
    type: EventType
    messageId: str
    timestamp: datetime | None = None
    originalTimestamp: datetime | None = None
    sentAt: datetime | None = None
    receivedAt: datetime | None = None
    userId: str | int | None = None
    anonymousId: str | int | None = None
    previousId: str | int | None = None
    context: Context | None = None
    traits: Traits | None = None
