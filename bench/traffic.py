"""A shop's traffic, generated fast and always the same for a seed: for load, not for meaning.

Visitors come with a cookie, one in five with a second one, and mostly look at products (88 %; in the real
REES46 data 98 %); some put them into a cart, check out, order, log in. About one event in 100 merges two
customers while a scope is young.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime

START = 1_750_000_000_000
_CONTEXT = (
    b'"context":{"ip":"203.0.113.7","userAgent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",'
    b'"locale":"en-US","page":{"url":"https://shop.example/products/view","referrer":"https://search.example/",'
    b'"title":"Product"},"library":{"name":"analytics.js","version":"4.1.0"}}'
)


def stamp(ms: int) -> bytes:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")[:23].encode() + b"Z"


def events(
    count: int, people: int, seed: int = 7, start: int = START, step: float = 20
) -> Iterator[tuple[int, bytes, bytes]]:
    """(source number 0 to 2, record key, value) of `count` events by `people`, `step` ms apart."""
    dice = random.Random(seed)
    for number in range(count):
        yield one(dice, number, people, int(start + number * step + dice.randrange(200)))


def one(dice: random.Random, number: int, people: int, at: int) -> tuple[int, bytes, bytes]:
    """One event at `at` (ms)."""
    person = dice.randrange(people)
    cookie = b"cookie-%d-%d" % (person, dice.randrange(10) // 9 if person % 5 == 0 else 0)
    roll = dice.random()
    product = b"sku-%04d" % dice.randrange(500)
    head = b'{"messageId":"m-%010d","timestamp":"%s","anonymousId":"%s"' % (number, stamp(at), cookie)
    price = b'"price":%d.%02d,"currency":"USD"' % (dice.randrange(5, 300), dice.randrange(100))
    cart = b'"cart_id":"cart-%d-%d"' % (person, at // 3_600_000)
    if roll < 0.88:
        what = b'"Product Viewed","properties":{"product_id":"%s","category":"shoes","brand":"acme",%s}' % (
            product,
            price,
        )
    elif roll < 0.93:
        what = b'"Product Added","properties":{%s,"product_id":"%s","quantity":1,%s}' % (cart, product, price)
    elif roll < 0.95:
        what = b'"Checkout Started","properties":{%s}' % cart
    elif roll < 0.97:
        what = (
            b'"Order Completed","properties":{%s,"order_id":"o-%d","total":%d.50,"currency":"USD",'
            b'"products":[{"product_id":"%s","quantity":1,%s}]}'
            % (cart, number, dice.randrange(10, 500), product, price)
        )
    elif roll < 0.98:
        channel = (b"email", b"push")[dice.randrange(2)]
        what = (
            b'"Consent Updated","properties":{"purpose":"marketing","channel":"%s","granted":true}' % channel
        )
    else:
        traits = b'"traits":{"email":"person%d@example.net"}' % person
        return (
            person % 3,
            cookie,
            head + b',"type":"identify","userId":"user-%d",%s,%s}' % (person, traits, _CONTEXT),
        )
    return person % 3, cookie, head + b',"type":"track","event":%s,%s}' % (what, _CONTEXT)
