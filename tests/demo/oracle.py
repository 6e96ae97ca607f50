"""What the real events of the demo must lead to, computed the slow and obvious way.

Plain Python over the whole stream at once, with nothing from `operators/` and no identity: a cart belongs
to its session, an interest to its visitor. So it counts what *candidates* there are, whoever consented.

    python -m tests.demo.oracle
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from flows.demo import records

CART_TIMER = 15 * 60
WINDOW = 2 * 60 * 60
VIEWS = 3

Event = dict[str, Any]


class Abandoned(NamedTuple):
    """A cart nobody bought for 15 minutes after its last change; `due` is when that was clear."""

    visitor: str
    cart_id: str
    due: float


class Interested(NamedTuple):
    """A visitor's third view of a product within two hours, without a purchase of it in between."""

    visitor: str
    product_id: str
    at: float


def real_events() -> Iterator[Event]:
    for _, value, generated in records():
        if not generated:
            yield orjson.loads(value)


def time(event: Event) -> float:
    return datetime.fromisoformat(event["timestamp"]).timestamp()


def abandoned_carts(events: Iterable[Event]) -> list[Abandoned]:
    """Each change starts the 15 minutes again, a purchase ends them, the file's end decides nothing.

    A cart that is changed again after it was abandoned can be abandoned again.
    """
    every = list(events)
    end = max(map(time, every), default=0.0)
    steps: dict[str, list[tuple[float, str, str]]] = {}
    for event in every:
        if event["event"] in ("Product Added", "Order Completed"):
            step = (time(event), event["event"], event["anonymousId"])
            steps.setdefault(event["properties"]["cart_id"], []).append(step)
    found = []
    for cart_id, cart in steps.items():
        cart.sort(key=lambda step: step[0])
        for (at, name, visitor), (next_at, _, _) in zip(cart, [*cart[1:], (end, "", "")], strict=True):
            if name == "Product Added" and next_at - at >= CART_TIMER:
                found.append(Abandoned(visitor, cart_id, at + CART_TIMER))
    return sorted(found, key=lambda each: (each.due, each.cart_id))


def repeated_interests(events: Iterable[Event]) -> list[Interested]:
    """After a third view, and after a purchase of the product, counting starts again at zero."""
    views: dict[tuple[str, str], list[float]] = {}
    found = []
    for event in sorted(events, key=time):
        visitor, properties, now = event["anonymousId"], event["properties"], time(event)
        if event["event"] == "Order Completed":
            for line in properties["products"]:
                views.pop((visitor, line["product_id"]), None)
        elif event["event"] == "Product Viewed":
            key = (visitor, properties["product_id"])
            recent = [at for at in views.get(key, []) if at >= now - WINDOW] + [now]
            if len(recent) == VIEWS:
                found.append(Interested(*key, now))
                recent = []
            views[key] = recent
    return found


def counts(events: Iterable[Event]) -> dict[str, int]:
    """The figures to compare a run with."""
    every = list(events)
    carts, looks = abandoned_carts(every), repeated_interests(every)
    changed = {e["properties"]["cart_id"] for e in every if e["event"] == "Product Added"}
    return {
        "events": len(every),
        "visitors": len({e["anonymousId"] for e in every}),
        "sessions": len({e["context"]["sessionId"] for e in every}),
        "carts": len(changed),
        "abandoned carts": len(carts),
        "visitors with an abandoned cart": len({each.visitor for each in carts}),
        "repeated interests": len(looks),
        "visitor and product pairs": len({(each.visitor, each.product_id) for each in looks}),
        "visitors with a repeated interest": len({each.visitor for each in looks}),
        "visitors with more than one": sum(n > 1 for n in Counter(each.visitor for each in looks).values()),
    }


if __name__ == "__main__":
    for name, count in counts(real_events()).items():
        print(f"{count:8,} {name}")
