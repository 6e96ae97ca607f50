"""A shop's traffic, made up from a seed: people on several devices who log in, dawdle, order and leave.

What is meant to be hard is in it: merges while an earlier one is under way, chains of them, a tablet that
a household shares, messages delivered twice, message ids used again, late events, events nobody can read, and
prices that change, for what is not priced by its events. Everybody's timers are due within the run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import orjson

RETAIL = Path(__file__).parents[2] / "flows" / "playbooks" / "retail.yaml"
SOURCES = ("web", "app", "pos")
PARTITIONS = 4
START = int(datetime(2026, 3, 2, 10, tzinfo=UTC).timestamp() * 1000)
MS_PER_EVENT = 5  # how far event time moves from one event to the next
PRODUCTS = 300
UNPRICED = 3  # of so many products one is never priced by its events
MS_PER_PRICE = 100

# Hours become seconds: a run of a minute sees everything happen.
_SHORT = (
    ("  crm: {}\n", ""),
    ("wait: 15m", "wait: 30s"),
    ("wait: 10m", "wait: 8s"),
    ("wait: 5m", "wait: 3s"),
    ("within: 2h", "within: 5s"),
    ("within: 30m", "within: 5s"),
    ("within: 7d", "within: 20s"),
    ("times: 5", "times: 3"),
    ("cooldown: 24h", "cooldown: 5s"),
    ("cooldown: 12h", "cooldown: 5s"),
    ("cooldown: 1h", "cooldown: 5s"),
    ("cooldown: 4h", "cooldown: 20s"),
    ("cooldown: 2h", "cooldown: 10s"),
    ("expires: 2h", "expires: 20s"),
    ("basket_value >= 100000", "basket_value >= 20000"),
    ("window: 30m", "window: 4s"),
    ("window: 24h", "window: 30s"),
    ("window: 30d", "window: 90s"),
    ("window: 365d", "window: 3m"),
    ("profiles: {every: 1h}", "profiles: {every: 10s}"),
    ("horizon: 60d", "horizon: 12s"),
    ("horizon: 24h", "horizon: 10s"),
    ("gap: 30m", "gap: 3s\n  apart: 2s"),
    ("intent_probability >= 0.25", "intent_probability >= 0.1"),
)
# `hold`: these events are of long ago, an idle moment must not bring time to today. Small cuts, so that a
# merge is under way for some of them.
_ENGINE = {
    "epoch": "300ms", "cut_events": "250", "alignment": "3s", "idle": "hold", "heartbeat": "100ms",
    "dedupe": "15s",
}  # fmt: skip


def playbook(scope: str, examples_every: str = "4s", more: str = "", **engine: str) -> str:
    """The retail playbook with everything sooner, `more` sections and `engine` settings on top. Examples
    of churn are of every customer again and again: the longer a run, the more there are for an event."""
    text = RETAIL.read_text()
    for old, new in (
        ("scope: shop", f"scope: {scope}"), ("every: 7d", f"every: {examples_every}"), *_SHORT
    ):  # fmt: skip
        assert old in text, f"{RETAIL.name} no longer says {old!r}"
        text = text.replace(old, new)
    settings = ", ".join(f"{name}: {value}" for name, value in {**_ENGINE, **engine}.items())
    # Hardly anybody says an e-mail address here.
    return f"{text}\nchannels: {{email: {{address: nothing}}}}\nengine: {{{settings}}}\n{more}\n"


class Message(NamedTuple):
    source: str
    partition: int
    value: bytes


class _Sent(NamedTuple):
    at: float  # when it is sent, ms after the start
    source: str
    key: str
    value: bytes


class _Someone(NamedTuple):
    """One person. `account`: most have one, but not all ever log in."""

    number: int
    devices: list[str]
    account: str | None
    tablet: str | None
    begin: float


def traffic(events: int, seed: int = 1, partitions: int = PARTITIONS) -> list[Message]:
    """So many records in the order in which they are sent; the same for the same seed."""
    rng = random.Random(seed)
    sent: list[_Sent] = []
    number, begin = 0, 0.0
    while begin < events * MS_PER_EVENT:
        someone = _someone(rng, number, begin)
        mine = list(_life(rng, someone))
        sent += mine
        sent += _trouble(rng, mine)
        number += 1
        begin += len(mine) * MS_PER_EVENT
    sent += _prices(random.Random(seed), begin)
    sent.sort(key=lambda one: one.at)
    return [
        Message(one.source, crc32(one.key.encode()) % partitions if one.key else 0, one.value)
        for one in sent[:events]
    ]


def _prices(rng: random.Random, end: float) -> Iterator[_Sent]:
    for number in range(int(end / MS_PER_PRICE)):
        at = number * MS_PER_PRICE
        told = {"product_id": f"p{number * UNPRICED % PRODUCTS}", "price": rng.randint(100, 20_000) / 100}
        value = orjson.dumps({**told, "currency": "USD", "timestamp": _moment(at)})
        yield _Sent(at + rng.uniform(0, 30), "prices", "", value if number % 50 else value[:-9])


def _someone(rng: random.Random, number: int, begin: float) -> _Someone:
    devices = [f"a{number}-{i}" for i in range(rng.choice((2, 2, 3)))]
    household = number // 2 if number % 40 < 2 else number
    tablet = f"d{household}" if rng.random() < 0.4 or household != number else None
    return _Someone(number, devices, f"u{number}" if rng.random() < 0.75 else None, tablet, begin)


def _life(rng: random.Random, one: _Someone) -> Iterator[_Sent]:
    """Consents, then a visit per device. Visits overlap, so logins come close together."""
    at = one.begin
    for channel, share in (("email", 0.8), ("push", 0.6)):
        if rng.random() < share:
            yield _consent(rng, at, one, channel, True)
    for index, device in enumerate(one.devices):
        yield from _visit(rng, at + index * rng.uniform(0, 4000), one, index, device)
    if rng.random() < 0.1:
        yield _consent(rng, at + rng.uniform(2000, 30_000), one, "email", False)


def _visit(rng: random.Random, at: float, one: _Someone, index: int, device: str) -> Iterator[_Sent]:
    source = SOURCES[(one.number + index) % len(SOURCES)]
    favourite = f"p{int(rng.paretovariate(0.7)) % PRODUCTS}"
    cart = f"k{one.number}" if rng.random() < 0.5 else f"k{one.number}-{index}"
    login = rng.randrange(6) if one.account is not None and rng.random() < 0.85 else -1
    who: dict[str, Any] = {"anonymousId": device}
    for step in range(rng.randint(3, 6)):
        at += rng.expovariate(1 / 900)
        if step == login:
            yield from _login(rng, at, one, source, device)
            if rng.random() < 0.7:
                who = {"anonymousId": device, "userId": one.account}
        name, properties = _deed(rng, step, favourite, cart, f"{one.number}-{index}-{step}")
        yield _track(rng, at, source, device, who, name, properties)


def _login(rng: random.Random, at: float, one: _Someone, source: str, device: str) -> Iterator[_Sent]:
    """A customer becomes known, often in a chain: device, e-mail and account within milliseconds."""
    who: dict[str, Any] = {"anonymousId": device}
    if one.tablet is not None:
        yield _send(
            rng, at, source, device, "page", {**who, "context": {"device": {"id": one.tablet}}}, late=False
        )
    if rng.random() < 0.5:
        traits = {"email": f"{one.account}@example.org"}
        yield _send(rng, at + rng.uniform(0, 30), source, device, "identify", {**who, "traits": traits})
    about = {"userId": one.account}
    if rng.random() < 0.3:
        about["traits"] = {"email": f"{one.account}@example.org"}  # type: ignore[assignment]
    yield _send(rng, at + rng.uniform(0, 40), source, device, "identify", {**who, **about})


def _deed(rng: random.Random, step: int, favourite: str, cart: str, order: str) -> tuple[str, dict[str, Any]]:
    product = favourite if rng.random() < 0.7 else f"p{rng.randrange(PRODUCTS)}"
    price = rng.randint(100, 20_000) / 100
    chance = rng.random()
    priced: dict[str, Any] = {} if int(product[1:]) % UNPRICED == 0 else {"price": price}
    if step == 0 or chance < 0.4:
        viewed = {"product_id": product, "category": f"g{len(product)}", "currency": "USD", **priced}
        return "Product Viewed", viewed
    if chance < 0.45:
        return "Products Searched", {"query": product}
    if chance < 0.68:
        return "Product Added", {"product_id": product, "cart_id": cart, "quantity": 1, **priced}
    if chance < 0.74:
        return "Product Removed", {"product_id": product, "cart_id": cart, "quantity": 1}
    if chance < 0.85:
        return "Checkout Started", {"cart_id": cart, "value": price}
    bought: dict[str, Any] = {"order_id": f"o{order}", "products": [{"product_id": product}]}
    if priced:
        bought["total"] = price
    return "Order Completed", bought if chance > 0.97 else {**bought, "cart_id": cart}


def _consent(rng: random.Random, at: float, one: _Someone, channel: str, granted: bool) -> _Sent:
    properties = {"purpose": "marketing", "channel": channel, "granted": granted}
    device = rng.choice(one.devices)
    who: dict[str, Any] = {"anonymousId": device}
    if channel == "push" and rng.random() < 0.8:
        who["context"] = {"device": {"token": f"token-{device}"}}
    return _track(rng, at, SOURCES[0], device, who, "Consent Updated", properties)


def _trouble(rng: random.Random, mine: list[_Sent]) -> Iterator[_Sent]:
    """Some of it comes again, some of it is not what it should be."""
    for one in mine:
        chance = rng.random()
        if chance < 0.03:
            yield one._replace(at=one.at + rng.choice((0, 1, 500, 10_000, 25_000)))
        elif chance < 0.035:
            other = orjson.loads(one.value) | {"properties": {"product_id": "p0", "again": True}}
            yield one._replace(at=one.at + rng.uniform(0, 3000), value=orjson.dumps(other))
        elif chance < 0.045:
            yield one._replace(at=one.at + 1, value=_spoilt(rng, one.value))


def _spoilt(rng: random.Random, good: bytes) -> bytes:
    event = orjson.loads(good) | {"messageId": f"x{rng.getrandbits(60):x}"}
    changes: list[dict[str, Any]] = [
        {"type": "trick"},
        {"messageId": 7},
        {"anonymousId": "null", "userId": None, "context": None, "traits": None},
        {"type": "track", "event": "Product Added", "properties": {"product_id": 7}},
        {"type": "track", "event": "Order Completed", "properties": {"order_id": "o", "total": "much"}},
        {"type": "track", "event": "Order Completed",
         "properties": {"order_id": "o", "total": 1, "currency": "EUR"}},
        {"properties": []},
    ]  # fmt: skip
    kind = rng.randrange(len(changes) + 2)
    if kind < len(changes):
        return orjson.dumps(event | changes[kind])
    return good[: len(good) // 2] if kind == len(changes) else b"\xff\x00 not json"


def _track(
    rng: random.Random, at: float, source: str, key: str, who: dict[str, Any], name: str,
    properties: dict[str, Any],
) -> _Sent:  # fmt: skip
    return _send(rng, at, source, key, "track", {**who, "event": name, "properties": properties})


def _send(
    rng: random.Random, at: float, source: str, key: str, kind: str, body: dict[str, Any], late: bool = True
) -> _Sent:
    """Most events are under way for a few ms, a few for seconds."""
    id = f"m{rng.getrandbits(60):x}"
    # Copied, because what orjson gives has a kilobyte reserved: with millions of events that is what counts.
    value = bytes(memoryview(orjson.dumps({"messageId": id, "type": kind, "timestamp": _moment(at), **body})))
    delay = rng.uniform(0, 6000) if late and rng.random() < 0.015 else rng.uniform(0, 30)
    return _Sent(at + delay, source, key, value)


def _moment(at: float) -> str:
    return datetime.fromtimestamp((START + int(at)) / 1000, UTC).isoformat(timespec="milliseconds")
