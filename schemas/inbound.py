"""What comes in: customer events in the Segment Spec, one JSON object per Kafka record.

`Event` is the whole contract of a record's value. `PROPERTIES` names, per track event, the
properties that oncue reads and their types; other properties may be there and are kept for the
playbook, but are not checked. Our extensions (`Consent Updated`, the `loyaltyNumber` trait, `cart_id`
on cart events) follow the same style.

Times are RFC 3339 strings; money is a decimal number in major units with its ISO 4217 code beside it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from schemas.common import Id, Price, Quantity
from schemas.currency import Currency

EventType = Literal["track", "identify", "page", "screen", "group", "alias"]


class Traits(msgspec.Struct, gc=False):
    """Who the customer says they are. Every trait is optional."""

    email: str | None = None
    phone: str | None = None
    name: str | None = None
    firstName: str | None = None
    lastName: str | None = None
    loyaltyNumber: str | None = None


class Device(msgspec.Struct, gc=False):
    id: str | None = None


class Context(msgspec.Struct, gc=False):
    """Where the event happened. `generated` marks events that no real person caused."""

    device: Device | None = None
    traits: Traits | None = None
    sessionId: str | None = None
    generated: bool = False


class Event(msgspec.Struct, gc=False):
    """One customer event. At least one identifier must be there, see `operators/identifiers.py`.

    The event time is `timestamp`; where `originalTimestamp`, `sentAt` and `receivedAt` are given
    instead, it is `receivedAt - (sentAt - originalTimestamp)`, so a wrong device clock does no harm.
    """

    type: EventType
    messageId: Id
    timestamp: str | None = None
    originalTimestamp: str | None = None
    sentAt: str | None = None
    receivedAt: str | None = None
    userId: str | int | None = None
    anonymousId: str | int | None = None
    event: str | None = None
    traits: Traits | None = None
    context: Context | None = None
    properties: dict[str, Any] = {}


class ProductViewed(msgspec.Struct, gc=False):
    product_id: Id
    category: str | None = None
    brand: str | None = None
    name: str | None = None
    price: Price | None = None
    currency: Currency | None = None


class CartChanged(msgspec.Struct, gc=False):
    """Product Added and Product Removed. Without `cart_id` the customer has one cart."""

    product_id: Id
    cart_id: Id | None = None
    category: str | None = None
    brand: str | None = None
    name: str | None = None
    price: Price | None = None
    quantity: Quantity = 1
    currency: Currency | None = None


class CheckoutStep(msgspec.Struct, gc=False):
    """Checkout Started and Checkout Step Completed."""

    cart_id: Id | None = None
    checkout_id: Id | None = None
    value: Price | None = None
    currency: Currency | None = None


class Line(msgspec.Struct, gc=False):
    product_id: Id
    price: Price | None = None
    quantity: Quantity = 1
    category: str | None = None
    brand: str | None = None
    name: str | None = None


class OrderCompleted(msgspec.Struct, gc=False):
    """An order closes the cart it names, or every open cart of the customer when it names none."""

    order_id: Id
    total: Price
    currency: Currency | None = None
    cart_id: Id | None = None
    products: list[Line] = []


class ConsentUpdated(msgspec.Struct, gc=False):
    """One purpose on one channel. What was never granted is not consented to."""

    purpose: Id
    channel: Id
    granted: bool


PROPERTIES: dict[str, type[msgspec.Struct]] = {
    "Product Viewed": ProductViewed,
    "Product Added": CartChanged,
    "Product Removed": CartChanged,
    "Checkout Started": CheckoutStep,
    "Checkout Step Completed": CheckoutStep,
    "Order Completed": OrderCompleted,
    "Consent Updated": ConsentUpdated,
}
