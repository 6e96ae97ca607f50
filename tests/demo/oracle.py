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


class Found(NamedTuple):
    """A candidate for a trigger: the visitor, what about, and when it was clear."""

    rule: str
    visitor: str
    key: str
    at: float


class Settings(NamedTuple):
    """What the rules below take from the playbook that ships."""

    views: int = VIEWS
    different: int = 5
    compare: float = 30 * 60
    fall: float = 0.05
    big: float = 1000.0


def candidates(events: Iterable[Event], settings: Settings) -> list[Found]:
    """Everything that the retail playbook finds worth looking at in events without searches and checkouts,
    rule by rule, each over all of a visitor's events at once. What happens in the very moment of a find
    belongs to it and counts no more."""
    every = sorted(events, key=time)
    found = [Found("cart_abandoned", it.visitor, it.cart_id, it.due) for it in abandoned_carts(every)]
    visitors: dict[str, list[Event]] = {}
    for event in every:
        visitors.setdefault(event["anonymousId"], []).append(event)
    for visitor, mine in visitors.items():
        for key, at in _again(mine, settings.views):
            found.append(Found("repeated_interest", visitor, key, at))
        for key, at in _comparing(mine, settings):
            found.append(Found("category_interest", visitor, key, at))
        for key, at in _cheaper(mine, settings.fall):
            found.append(Found("price_drop", visitor, key, at))
        for key, at in _big(mine, settings.big):
            found.append(Found("high_value_cart", visitor, key, at))
    return sorted(found)


def _looks(events: list[Event], what: str) -> dict[str, list[tuple[float, Event | None]]]:
    """Looks per product or category in the order of time; None where one of them was bought."""
    found: dict[str, list[tuple[float, Event | None]]] = {}
    for event in events:
        properties = event["properties"]
        if event["event"] == "Product Viewed" and what in properties:
            found.setdefault(properties[what], []).append((time(event), event))
    for event in events:
        if event["event"] == "Order Completed":
            bought = {line.get(what) for line in event["properties"]["products"]} - {None}
            for key in bought or found:
                found.setdefault(key, []).append((time(event), None))
    return {key: sorted(looks, key=lambda look: (look[0], look[1] is None)) for key, looks in found.items()}


def _again(events: list[Event], views: int) -> Iterator[tuple[str, float]]:
    for key, looks in _looks(events, "product_id").items():
        seen: list[float] = []
        last = -1.0
        for at, look in looks:
            if look is None or at == last:
                seen = []
                continue
            seen = [one for one in seen if at - one < WINDOW] + [at]
            if len(seen) == views:
                yield key, at
                seen, last = [], at


def _comparing(events: list[Event], settings: Settings) -> Iterator[tuple[str, float]]:
    for key, looks in _looks(events, "category").items():
        seen: list[tuple[float, str]] = []
        last = -1.0
        for at, look in looks:
            if look is None or at == last:
                seen = []
                continue
            seen = [one for one in seen if at - one[0] < settings.compare]
            seen.append((at, look["properties"]["product_id"]))
            if len({product for _, product in seen}) == settings.different:
                yield key, at
                seen, last = [], at


def _cheaper(events: list[Event], fall: float) -> Iterator[tuple[str, float]]:
    for key, looks in _looks(events, "product_id").items():
        seen: list[int] = []
        for at, look in looks:
            if look is None:
                seen = []
                continue
            price = round(look["properties"]["price"] * 100)
            highest = max(seen, default=0)
            seen.append(price)
            if price < highest and highest - price >= highest * fall:
                yield key, at
                seen = [price]


def _big(events: list[Event], big: float) -> Iterator[tuple[str, float]]:
    values: dict[str, float] = {}
    for event in events:
        cart = event["properties"].get("cart_id")
        if event["event"] == "Order Completed":
            values.pop(cart, None)
        elif event["event"] == "Product Added":
            before = values.get(cart, 0.0)
            after = values[cart] = round(before + event["properties"]["price"], 2)
            if before < big <= after:
                yield cart, time(event)


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
