"""Reference data: what the shop knows about its products, prices, stock, stores and content.

One JSON object per Kafka record in the style of the Segment Spec, on the topics `<scope>.products`,
`<scope>.prices`, `<scope>.stock`, `<scope>.stores` and `<scope>.content`. Each record says all there is to
say about its thing from `timestamp` on (RFC 3339; without it, from when the broker took it): what a field is
not given has no value any more. The record key is the id; a record without a value says that what was so has
ended. The topics keep everything: an event is completed with what was so when it happened.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from schemas.common import Country, Id, Price, Time
from schemas.currency import Currency


class Product(msgspec.Struct, gc=False):
    """What a product is. Its price and stock change on their own topics."""

    product_id: Id
    timestamp: Time | None = None
    name: str | None = None
    category: str | None = None
    brand: str | None = None
    url: str | None = None
    image_url: str | None = None


class ProductPrice(msgspec.Struct, gc=False):
    """What a product costs, in major units of `currency`."""

    product_id: Id
    price: Price
    currency: Currency
    timestamp: Time | None = None


class Stock(msgspec.Struct, gc=False):
    """How many there are of a product, in one store or, without `store_id`, in the online shop."""

    product_id: Id
    quantity: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
    store_id: Id | None = None
    timestamp: Time | None = None


class Store(msgspec.Struct, gc=False):
    """A shop with a door. `timezone` is an IANA name such as Europe/Berlin, `country` ISO 3166."""

    store_id: Id
    timestamp: Time | None = None
    name: str | None = None
    country: Country | None = None
    city: str | None = None
    timezone: str | None = None


class Content(msgspec.Struct, gc=False):
    """A page, article or video. `kind` is the sender's word for what it is."""

    content_id: Id
    timestamp: Time | None = None
    title: str | None = None
    kind: str | None = None
    url: str | None = None


RECORDS: dict[str, type[msgspec.Struct]] = {
    "products": Product,
    "prices": ProductPrice,
    "stock": Stock,
    "stores": Store,
    "content": Content,
}
