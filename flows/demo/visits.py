"""What the real visitors did that a story can build on: carts left behind, products looked at again.

Read from the converted events alone. Times are whole seconds since 1970.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

CART_TIMER = 15 * 60
INTEREST_WINDOW = 2 * 60 * 60
INTEREST_VIEWS = 3


class Cart(NamedTuple):
    """One session's cart. `changed` is its last change, `bought` the first purchase after that."""

    visitor: str
    cart_id: str
    changed: int
    value: float
    bought: int | None


class Interest(NamedTuple):
    """A visitor who looked at a product three times, the third at `third`, and never bought it.

    `times` counts how often that happened, with whatever product."""

    visitor: str
    product_id: str
    first: int
    third: int
    times: int


def seconds(timestamp: str) -> int:
    """
    >>> seconds("2019-10-01T00:00:07Z") - seconds("2019-10-01T00:00:00Z")
    7
    """
    return int(datetime.fromisoformat(timestamp).timestamp())


def rfc3339(at: int) -> str:
    """
    >>> rfc3339(1569888000)
    '2019-10-01T00:00:00Z'
    """
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def carts(events: Iterable[dict[str, Any]]) -> list[Cart]:
    """Every session's cart, in the order of its last change."""
    found: dict[str, Cart] = {}
    for event in events:
        properties = event["properties"]
        cart_id = properties.get("cart_id")
        if event["event"] == "Product Added":
            before = found.get(cart_id)
            value = properties["price"] + (before.value if before and before.bought is None else 0.0)
            changed = seconds(event["timestamp"])
            found[cart_id] = Cart(event["anonymousId"], cart_id, changed, round(value, 2), None)
        elif event["event"] == "Order Completed" and cart_id in found and found[cart_id].bought is None:
            found[cart_id] = found[cart_id]._replace(bought=seconds(event["timestamp"]))
    return sorted(found.values(), key=lambda cart: (cart.changed, cart.cart_id))


def interests(events: Iterable[dict[str, Any]]) -> list[Interest]:
    """Each visitor's first repeated interest in a product he never bought, in the order of its third view."""
    views: dict[tuple[str, str], deque[int]] = defaultdict(deque)
    bought: set[tuple[str, str]] = set()
    raised: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for event in events:
        visitor, properties = event["anonymousId"], event["properties"]
        if event["event"] == "Order Completed":
            bought |= {(visitor, line["product_id"]) for line in properties["products"]}
        elif event["event"] == "Product Viewed":
            recent, now = views[visitor, properties["product_id"]], seconds(event["timestamp"])
            recent.append(now)
            while recent[0] < now - INTEREST_WINDOW:
                recent.popleft()
            if len(recent) == INTEREST_VIEWS:
                raised[visitor].append((now, recent[0], properties["product_id"]))
                recent.clear()
    found = []
    for visitor, all_times in raised.items():
        times = [each for each in all_times if (visitor, each[2]) not in bought]
        if times:
            third, first, product_id = times[0]
            found.append(Interest(visitor, product_id, first, third, len(times)))
    return sorted(found, key=lambda each: (each.third, each.visitor))
