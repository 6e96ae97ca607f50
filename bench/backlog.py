"""Six hours that nobody has read, of three sources with rates 1000:100:10.

Everybody fills a cart on the busiest source; half of them order ten minutes later, where there is hardly any
traffic. Who reads the sources at their own pace takes those orders for missing, or the carts for old.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

START = 1_772_445_600_000  # 2026-03-02T10:00:00Z
SPAN = 6 * 3_600_000
WAIT = 15 * 60_000
ORDERED_AFTER = 10 * 60_000
PER_UNIT = (1000, 100, 10)  # events of web, app and pos
FILLERS = 1000 - 2 * 2 * (100 + 10)  # of a unit's events of the web: one cart in two is ordered

Event = tuple[int, int, bytes]  # source, ms, value


def carts(units: int) -> Iterator[tuple[int, int]]:
    """Number and moment of every cart."""
    count = units * 2 * (100 + 10)
    return ((n, START + n * (SPAN - ORDERED_AFTER) // count) for n in range(count))


def abandoned(units: int) -> dict[str, int]:
    """Which carts are to be noticed, and when each is due."""
    return {f"k{n}": at + 1 + WAIT for n, at in carts(units) if n % 2}


def events(units: int) -> list[Event]:
    """All of them, each source in the order of time; the last brings the time to when all carts are due."""
    found: list[Event] = []
    for n, at in carts(units):
        user, cart = f"u{n}", {"cart_id": f"k{n}"}
        says = {"purpose": "marketing", "channel": "email", "granted": True}
        adds = {**cart, "product_id": "p1", "price": 50}
        found.append((0, at, _event(at, user, f"c{n}", "Consent Updated", says)))
        found.append((0, at + 1, _event(at + 1, user, f"a{n}", "Product Added", adds)))
        if n % 2 == 0:
            source = 2 if n // 2 % 11 == 10 else 1
            then = at + ORDERED_AFTER
            pays = {**cart, "order_id": f"o{n}", "total": 50}
            found.append((source, then, _event(then, user, f"o{n}", "Order Completed", pays)))
    looks = {"product_id": "p2"}
    fillers = units * FILLERS
    for n in range(fillers):
        at = START + n * SPAN // fillers
        found.append((0, at, _event(at, f"v{n % 97}", f"f{n}", "Product Viewed", looks)))
    end = START + SPAN + 2 * 3_600_000
    found.append((0, end, _event(end, "last", "last", "Product Viewed", looks)))
    return sorted(found, key=lambda it: it[1])


def _event(at: int, user: str, id: str, name: str, properties: dict[str, Any]) -> bytes:
    return orjson.dumps(
        {
            "messageId": id,
            "type": "track",
            "timestamp": datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds"),
            "userId": user,
            "event": name,
            "properties": properties,
            "context": {"traits": {"email": f"{user}@example.org"}},
        }
    )
