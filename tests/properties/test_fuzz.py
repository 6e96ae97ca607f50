"""Whatever comes in, nothing raises, and every record is accepted, a duplicate or a dead letter."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from operators.counts import Tally
from tests.events import at, inputs, retail
from tests.properties.logs import DEEDS, law
from tests.simulate import Simulation, Step, cut_up

odd_text = st.sampled_from(
    [
        "", " ", "\0", "null", "u0", "\ud800", "x\udfff", "\u202e", "e\u0301", "p" * 600,
        "1970-01-01T00:00:00Z", "2190-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-14:00",
        "0001-01-01T00:00:00+14:00", "NaN", "ann@a.org", "+1 212 555 0123", "track", "Order Completed",
        "Consent Updated", "USD",
    ]
)  # fmt: skip
odd_numbers = st.sampled_from(
    [
        0,
        -1,
        10**30,
        -(10**30),
        2**63,
        2**64,
        1e308,
        float("nan"),
        float("inf"),
        0.1,
        -0.0,
        999_999_999_999_999,
    ]
)
plain = st.none() | st.booleans() | st.integers() | st.floats() | odd_numbers | st.text() | odd_text
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | odd_text, inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip
nested = st.integers(1, 700).map(lambda depth: b"[" * depth + b"]" * depth)
FIELDS = [
    "type", "messageId", "timestamp", "originalTimestamp", "sentAt", "receivedAt", "userId", "anonymousId",
    "event", "context", "traits", "properties",
]  # fmt: skip
TRAITS = ["email", "phone", "name", "firstName", "loyaltyNumber", "address"]
PROPERTIES = [
    "product_id", "cart_id", "order_id", "price", "quantity", "total", "currency", "products", "purpose",
    "channel", "granted", "value", "query", "product", "category",
]  # fmt: skip


def written(body: Any) -> bytes:
    """JSON as Python writes it: NaN, lone surrogates and numbers of any size included."""
    return json.dumps(body).encode()


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    """A good event with a few things wrong."""
    name, properties = draw(st.sampled_from(DEEDS))
    body: dict[str, Any] = {
        "type": "identify" if name == "identify" else "track",
        "messageId": draw(st.sampled_from(["m0", "m1", "m2", "m3"])),
        "timestamp": "2026-03-02T10:00:00Z",
        "userId": draw(st.sampled_from(["u0", "u1"])),
        "event": name,
        "properties": dict(properties),
        "traits": {},
        "context": {"device": {"id": "d0"}, "traits": {}},
    }
    for _ in range(draw(st.integers(0, 3))):
        where, keys = draw(
            st.sampled_from(
                [
                    (body, FIELDS),
                    (body["properties"], PROPERTIES),
                    (body["traits"], TRAITS),
                    (body["context"], ["device", "traits", "sessionId"]),
                ]
            )
        )
        if isinstance(where, dict):
            where[draw(st.sampled_from(keys))] = draw(values)
    raw = written(body)
    match draw(st.sampled_from(["", "", "", "cut", "flip", "nest", "twice"])):
        case "cut":
            return raw[: draw(st.integers(0, len(raw)))]
        case "flip":
            place = draw(st.integers(0, len(raw) - 1))
            return raw[:place] + bytes([draw(st.integers(0, 255))]) + raw[place + 1 :]
        case "nest":
            return raw[:-1] + b',"deep":' + draw(nested) + b"}"
        case "twice":
            return raw[:-1] + b',"userId":' + written(draw(values)) + b"}"
    return raw


records = st.one_of(bent(), bent(), bent(), st.binary(max_size=60), values.map(written))


@law
@given(st.lists(records, min_size=1, max_size=12), st.sampled_from([1, 3]), st.integers(0, 2))
def test_whatever_comes_in_is_accounted_for(raws: list[bytes], shards: int, unwritten: int) -> None:
    shop = retail()
    log = inputs(raws[::2], raws[1::2])
    simulation = Simulation(shop, log, shards, unwritten=unwritten)
    for step in cut_up(shop, log, [[2, 1]] * 3):
        simulation.cut(step)
    simulation.cut(Step({}, at(200_000)))
    outcome = simulation.finish().outcome()
    counts = [shard.customers.counts for shard in simulation.shards]
    assert all(Tally(one).balanced() for one in counts)
    rows = [row for one in counts for row in one.values()]
    assert sum(row["received"] for row in rows) == len(raws)
    assert sum(row["held"] for row in rows) == 0
    letters = outcome.dead_letters.values()
    assert sum(row["dead_lettered"] for row in rows) == len(letters)
    for letter in letters:
        place = f"{letter.topic}/{letter.partition}"
        assert letter.original == next(raw for offset, _, raw in log[place] if offset == letter.offset)
        assert letter.stage in ("header", "event")
        assert letter.reason != "failed", letter.detail  # what is known to be bad has a reason of its own
        assert letter.detail
    for effect in outcome.effects.values():
        if not effect.id.startswith(("move:", "control:")):
            orjson.loads(effect.body)  # what goes out is JSON that everybody can read
