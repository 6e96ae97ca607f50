"""What senders may put into a record: the six messages of the Segment Spec with all their common fields.

This is the contract that is published. `schemas/inbound.py` reads a part of it and skips the rest, which
costs nothing; whatever is valid here is accepted there.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from schemas.common import Id, Time


class Address(msgspec.Struct):
    city: str | None = None
    country: str | None = None
    postalCode: str | None = None
    state: str | None = None
    street: str | None = None


class Person(msgspec.Struct):
    """Traits: who the customer says they are. `loyaltyNumber` is ours. Other traits may be there."""

    email: str | None = None
    phone: str | None = None
    name: str | None = None
    firstName: str | None = None
    lastName: str | None = None
    loyaltyNumber: str | None = None
    id: str | None = None
    username: str | None = None
    title: str | None = None
    gender: str | None = None
    age: float | None = None
    birthday: str | None = None
    createdAt: str | None = None
    address: Address | None = None
    avatar: str | None = None
    company: dict[str, Any] | None = None
    description: str | None = None
    website: str | None = None


class Organisation(msgspec.Struct):
    """Traits of a group, such as a household or a company."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None
    id: str | None = None
    industry: str | None = None
    employees: str | int | None = None
    plan: str | None = None
    createdAt: str | None = None
    address: Address | None = None
    avatar: str | None = None
    description: str | None = None
    website: str | None = None


class App(msgspec.Struct):
    name: str | None = None
    version: str | None = None
    build: str | None = None
    namespace: str | None = None


class Campaign(msgspec.Struct):
    name: str | None = None
    source: str | None = None
    medium: str | None = None
    term: str | None = None
    content: str | None = None


class DeviceInfo(msgspec.Struct):
    """`id` is an identifier of the customer."""

    id: str | None = None
    advertisingId: str | None = None
    adTrackingEnabled: bool | None = None
    manufacturer: str | None = None
    model: str | None = None
    name: str | None = None
    type: str | None = None
    version: str | None = None
    token: str | None = None


class Library(msgspec.Struct):
    name: str | None = None
    version: str | None = None


class Location(msgspec.Struct):
    city: str | None = None
    country: str | None = None
    region: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    speed: float | None = None


class Network(msgspec.Struct):
    bluetooth: bool | None = None
    carrier: str | None = None
    cellular: bool | None = None
    wifi: bool | None = None


class OperatingSystem(msgspec.Struct):
    name: str | None = None
    version: str | None = None


class PageInfo(msgspec.Struct):
    path: str | None = None
    referrer: str | None = None
    search: str | None = None
    title: str | None = None
    url: str | None = None


class Referrer(msgspec.Struct):
    id: str | None = None
    type: str | None = None
    name: str | None = None
    url: str | None = None
    link: str | None = None


class ScreenInfo(msgspec.Struct):
    width: float | None = None
    height: float | None = None
    density: float | None = None


class MessageContext(msgspec.Struct):
    """Where the event happened. `sessionId` and `generated` are ours; `generated` marks events that no
    real person caused."""

    active: bool | None = None
    app: App | None = None
    campaign: Campaign | None = None
    device: DeviceInfo | None = None
    groupId: str | None = None
    ip: str | None = None
    library: Library | None = None
    locale: str | None = None
    location: Location | None = None
    network: Network | None = None
    os: OperatingSystem | None = None
    page: PageInfo | None = None
    referrer: Referrer | None = None
    screen: ScreenInfo | None = None
    timezone: str | None = None
    traits: Person | None = None
    userAgent: str | None = None
    sessionId: str | None = None
    generated: bool = False


class Message(msgspec.Struct, kw_only=True):
    """Common fields. At least one identifier must be there: `userId`, `anonymousId`, `context.device.id`
    or a trait. `messageId` is the same when the same event is sent again.

    The event time is `timestamp`; without it `receivedAt - (sentAt - originalTimestamp)`, which puts a
    wrong device clock right; without any of them the time the broker took the record. A `timestamp` with
    `sentAt` and without `originalTimestamp` is taken for the device's and put right in the same way.
    """

    messageId: Id
    timestamp: Time | None = None
    originalTimestamp: Time | None = None
    sentAt: Time | None = None
    receivedAt: Time | None = None
    userId: str | int | None = None
    anonymousId: str | int | None = None
    traits: Person | None = None
    context: MessageContext | None = None
    integrations: dict[str, Any] | None = None
    channel: str | None = None
    version: str | int | None = None


class Track(Message, kw_only=True):
    """Something the customer did. The properties of known events are checked, others may have any."""

    type: Literal["track"]
    event: Id
    properties: dict[str, Any] = {}


class Identify(Message, kw_only=True):
    """Who the customer is. Its identifiers and traits link what belongs to one person."""

    type: Literal["identify"]


class Page(Message, kw_only=True):
    """A web page was seen."""

    type: Literal["page"]
    name: str | None = None
    category: str | None = None
    properties: dict[str, Any] = {}


class Screen(Message, kw_only=True):
    """A screen of the app was seen."""

    type: Literal["screen"]
    name: str | None = None
    category: str | None = None
    properties: dict[str, Any] = {}


class Group(Message, kw_only=True):
    """The customer belongs to a group, whose traits these are. Groups do not link customers."""

    type: Literal["group"]
    groupId: Id
    traits: Organisation | None = None  # type: ignore[assignment]


class Alias(Message, kw_only=True):
    """Two ids of one customer: `previousId` is an anonymous id that they had before."""

    type: Literal["alias"]
    previousId: str | int


MESSAGES: dict[str, type[Message]] = {
    "track": Track,
    "identify": Identify,
    "page": Page,
    "screen": Screen,
    "group": Group,
    "alias": Alias,
}
