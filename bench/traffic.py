"""A shop's traffic, generated fast and always the same for a seed: for load, not for meaning.

Visitors come with a cookie, one in five with a second one, and mostly look at products (82 %; in the real
REES46 data 98 %); some search, put things into a cart, check out, order, log in, ask for help. Every product
is a fifth cheaper for one hour in twenty. About one event in 100 merges two customers while a scope is young.

They come in visits as those in the REES46 data do: 3.44 events on average, with 34 s (median) between two.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime

START = 1_750_000_000_000
VISIT = 3.44  # events
GAP = 49_000  # ms, the mean of what has a median of 34 s
_CONTEXT = (
    b'"ip":"203.0.113.7","userAgent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",'
    b'"locale":"en-US","page":{"url":"https://shop.example/products/view","referrer":"https://search.example/",'
    b'"title":"Product"},"library":{"name":"analytics.js","version":"4.1.0"}'
)


def stamp(ms: int) -> bytes:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")[:23].encode() + b"Z"


def events(
    count: int, people: int, seed: int = 7, start: int = START, step: float = 20
) -> Iterator[tuple[int, bytes, bytes]]:
    """(source number 0 to 2, record key, value) of `count` events by `people`, `step` ms apart."""
    dice = random.Random(seed)
    there = [dice.randrange(people) for _ in range(max(1, min(people, round(GAP / step))))]
    for number in range(count):
        place = dice.randrange(len(there))
        if dice.random() < 1 / VISIT:
            there[place] = dice.randrange(people)
        yield one(dice, number, there[place], int(start + number * step + dice.randrange(200)))


def one(dice: random.Random, number: int, person: int, at: int) -> tuple[int, bytes, bytes]:
    """One event of a person at `at` (ms)."""
    cookie = b"cookie-%d-%d" % (person, dice.randrange(10) // 9 if person % 5 == 0 else 0)
    head = b'{"messageId":"m-%010d","timestamp":"%s","anonymousId":"%s"' % (number, stamp(at), cookie)
    context = b'"context":{"sessionId":"s-%d-%d",%s}' % (person, at // 1_800_000, _CONTEXT)
    roll = dice.random()
    if roll >= 0.98:
        traits = b'"traits":{"email":"person%d@example.net"}' % person
        what = b'"type":"identify","userId":"user-%d",%s' % (person, traits)
    else:
        name, properties = _behaviour(dice, roll, number, person, at)
        what = b'"type":"track","event":"%s","properties":{%s}' % (name, properties)
    return person % 3, cookie, b"%s,%s,%s}" % (head, what, context)


def _behaviour(dice: random.Random, roll: float, number: int, person: int, at: int) -> tuple[bytes, bytes]:
    """Name and properties of a track event."""
    cart = b'"cart_id":"cart-%d-%d"' % (person, at // 3_600_000)
    line = _line(dice, at)
    if roll < 0.82:
        return b"Product Viewed", line
    if roll < 0.85:
        return b"Products Searched", b'"query":"query %d"' % dice.randrange(300)
    if roll < 0.87:
        return b"Product Clicked", line
    if roll < 0.91:
        return b"Product Added", b'%s,%s,"quantity":1' % (cart, line)
    if roll < 0.93:
        return b"Checkout Started", cart
    if roll < 0.95:
        total = dice.randrange(10, 500)
        money = b'"total":%d.50,"discount":%d.00,"currency":"USD"' % (total, dice.randrange(10))
        return (
            b"Order Completed",
            b'%s,"order_id":"o-%d",%s,"products":[{%s,"quantity":1}]' % (cart, number, money, line),
        )
    if roll < 0.96:
        return b"Email Opened", b'"campaign_id":"c-%d"' % dice.randrange(20)
    if roll < 0.965:
        return (b"Case Opened", b"Case Closed")[dice.randrange(2)], b'"case_id":"case-%d"' % person
    channel = (b"email", b"push")[dice.randrange(2)]
    return b"Consent Updated", b'"purpose":"marketing","channel":"%s","granted":true' % channel


def _line(dice: random.Random, at: int) -> bytes:
    product = dice.randrange(500)
    cents = (500 + product * 7919 % 29_500) * (4 if (at // 3_600_000 + product) % 20 == 0 else 5) // 5
    return (
        b'"product_id":"sku-%04d","category":"category-%d","brand":"brand-%d","price":%d.%02d,"currency":"USD"'
        % (product, product % 20, product % 60, *divmod(cents, 100))
    )
