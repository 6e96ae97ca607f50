"""Where the overlay's stories are told: made-up persons, real visitors to cast, events said so far.

Nothing here is about one story. Names are made up, e-mail addresses use the reserved example domains
and telephone numbers the fictional 555-01xx range, so nobody is ever reached by accident.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from flows.demo.visits import Cart, carts, interests, rfc3339, seconds

FIRST = ("Ada", "Ben", "Carla", "David", "Elif", "Femi", "Grace", "Hugo", "Ines", "Jonas", "Katya", "Liam")
LAST = ("Abel", "Brandt", "Costa", "Dogan", "Evans", "Fischer", "Garcia", "Haas", "Ito", "Jensen", "Kaya")
MAIL = ("example.com", "example.org", "example.net")
AREA = (202, 212, 312, 415, 617, 713)

Event = dict[str, Any]


class Person(NamedTuple):
    """A made-up customer: the identifiers that shop, till and CRM may each know a part of."""

    userId: str
    email: str
    phone: str
    firstName: str
    lastName: str
    loyaltyNumber: str
    device: str

    def traits(self, *names: str) -> dict[str, str]:
        return {name: getattr(self, name) for name in names}


class Arrival(NamedTuple):
    """One record of the bundled file. A `str` value is no JSON on purpose."""

    at: int
    topic: str
    value: Event | str


class Castable(Protocol):
    @property
    def visitor(self) -> str: ...


Role = TypeVar("Role", bound=Castable)


class Bystander(NamedTuple):
    """A visitor with at least three events, neither a cart nor a repeated interest."""

    visitor: str
    first: int
    last: int


class Stage:
    """The real visitors by what they did, and what has been generated about them so far.

    Every pool is shuffled once with the seed; a visitor is cast in one story only.

    Parameters
    ----------
    real
        The real events, in the order of their time.
    seed
        The same seed and events give the same overlay.
    """

    def __init__(self, real: Sequence[Event], seed: int, cart_timer: int, checkout_timer: int) -> None:
        self.rng = random.Random(seed)
        self.start, self.end = seconds(real[0]["timestamp"]), seconds(real[-1]["timestamp"])
        self.said: list[Arrival] = []
        self.story = ""
        self._cast: set[str] = set()
        self._persons = 0

        every = carts(real)
        open_carts = [cart for cart in every if cart.bought is None]
        self.abandoned = self._shuffled(c for c in open_carts if c.changed + cart_timer <= self.end)
        # Too late for the cart's timer, early enough for a checkout's; 120 s leave room for the steps.
        self.late_carts = self._shuffled(
            c for c in open_carts if self.end - cart_timer < c.changed <= self.end - checkout_timer - 120
        )
        self.bought = self._shuffled(c for c in every if c.bought is not None and c.bought - c.changed >= 20)
        self.interests = self._shuffled(i for i in interests(real) if i.third - i.first >= 20)
        self.bystanders = self._shuffled(self._bystanders(real, every))
        self.consented: list[Cart] = []
        sold = [e["properties"] for e in real if e["event"] == "Product Viewed" and e["properties"]["price"]]
        self.catalogue = self.rng.sample(sold, min(len(sold), 50))
        self.prices: dict[str, float] = {each["product_id"]: each["price"] for each in sold}

    def _shuffled(self, pool: Iterable[Role]) -> list[Role]:
        listed = list(pool)
        return self.rng.sample(listed, len(listed))

    def _bystanders(self, real: Sequence[Event], every: list[Cart]) -> list[Bystander]:
        times: dict[str, list[str]] = {}
        for event in real:
            times.setdefault(event["anonymousId"], []).append(event["timestamp"])
        taken = {c.visitor for c in every} | {i.visitor for i in interests(real)}
        return [
            Bystander(visitor, seconds(at[0]), seconds(at[-1]))
            for visitor, at in times.items()
            if len(at) >= 3 and visitor not in taken
        ]

    def cast(self, pool: Sequence[Role], count: int) -> list[Role]:
        """The next `count` of a pool whose visitor has no story yet, or as many as are left."""
        chosen: list[Role] = []
        for each in pool:
            if len(chosen) == count:
                break
            if each.visitor not in self._cast:
                self._cast.add(each.visitor)
                chosen.append(each)
        return chosen

    def person(self) -> Person:
        """The next made-up customer. No two share an identifier or a full name."""
        n = self._persons
        self._persons += 1
        # len(FIRST) and len(LAST) have no common divisor: 132 pairs before a middle letter is needed.
        first, last = FIRST[n % len(FIRST)], LAST[n % len(LAST)]
        if n >= len(FIRST) * len(LAST):
            first += f" {chr(65 + n // (len(FIRST) * len(LAST)) - 1)}."
        mailbox = f"{first}.{last}.{n}".lower().replace(" ", "").replace("..", ".")
        return Person(
            userId=f"user-{n:04d}",
            email=f"{mailbox}@{MAIL[n % len(MAIL)]}",
            phone=f"+1{AREA[n // 100]}55501{n % 100:02d}",
            firstName=first,
            lastName=last,
            loyaltyNumber=f"LC{700000 + 37 * n}",
            device=f"{self.rng.getrandbits(64):016x}",
        )

    def say(self, topic: str, at: int, arrives: int | None = None, **fields: Any) -> Event:
        """Adds one generated event at time `at`, which arrives then unless said otherwise."""
        context = {"generated": True, "story": self.story} | fields.pop("context", {})
        event: Event = {"messageId": f"generated-{len(self.said):04d}", "timestamp": rfc3339(at)}
        event |= fields | {"context": context}
        self.said.append(Arrival(at if arrives is None else arrives, topic, event))
        return event

    def identify(self, topic: str, at: int, traits: dict[str, str], **fields: Any) -> Event:
        return self.say(topic, at, type="identify", **fields, traits=traits)

    def track(self, topic: str, at: int, event: str, properties: dict[str, Any], **fields: Any) -> Event:
        return self.say(topic, at, type="track", event=event, properties=properties, **fields)

    def consent(self, topic: str, at: int, channel: str, granted: bool, **fields: Any) -> Event:
        properties = {"purpose": "marketing", "channel": channel, "granted": granted}
        return self.track(topic, at, "Consent Updated", properties, **fields)

    def app(self, device: str, reachable: bool = True) -> dict[str, Any]:
        """The context of the app on a device, with the token for its push messages where they are allowed."""
        return {"device": {"id": device, "token": f"token-{device}"} if reachable else {"id": device}}

    def buy(
        self, topic: str, at: int, lines: list[dict[str, Any]], cart_id: str | None = None, **fields: Any
    ) -> Event:
        """A purchase of products, of one piece each."""
        properties: dict[str, Any] = {
            "order_id": f"order-{len(self.said):04d}",
            "total": round(sum(line["price"] for line in lines), 2),
            "currency": "USD",
            "products": [{"product_id": line["product_id"], "price": line["price"]} for line in lines],
        }
        if cart_id is not None:
            properties["cart_id"] = cart_id
        return self.track(topic, at, "Order Completed", properties, **fields)

    def order(self, at: int, arrives: int | None = None, **fields: Any) -> Event:
        """A purchase at the till: of one or two products of the real catalogue, without a cart."""
        chosen = self.rng.sample(self.catalogue, min(len(self.catalogue), self.rng.choice((1, 1, 2))))
        lines = [{"product_id": p["product_id"], "price": p["price"], "quantity": 1} for p in chosen]
        properties = {
            "order_id": f"till-order-{len(self.said):04d}",
            "total": round(sum(p["price"] for p in chosen), 2),
            "currency": "USD",
            "products": lines,
        }
        return self.track("pos", at, "Order Completed", properties, arrives=arrives, **fields)
