"""What is so as of a moment: versions, their bounds, and the records they come from."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest

from operators.headers import BadHeader
from operators.reference import KEPT, MOST_VERSIONS, Known, Reference, read
from tests.events import at, stamp

DAY = 86_400_000


def known(*versions: tuple[int, Any]) -> Reference:
    """Versions of product p, in the order in which they came: (effective from, price)."""
    reference = Reference({})
    for offset, (when, price) in enumerate(versions):
        reference.put("prices", "p", when, price, came=when, partition=0, offset=offset)
    return reference


def test_what_was_said_last_before_a_moment_holds_at_it() -> None:
    prices = known((1000, {"price": 9}), (2000, {"price": 8}))
    found = [prices.as_of("prices", "p", when) for when in (999, 1000, 1999, 2000, 9999)]
    assert found == [None, {"price": 9}, {"price": 9}, {"price": 8}, {"price": 8}]


def test_kinds_and_ids_do_not_mix() -> None:
    prices = known((1000, {"price": 9}))
    assert prices.as_of("products", "p", 2000) is None
    assert prices.as_of("prices", "q", 2000) is None


def test_what_comes_late_takes_its_place() -> None:
    prices = known((1000, {"price": 9}), (3000, {"price": 7}), (2000, {"price": 8}))
    assert [prices.as_of("prices", "p", when) for when in (1500, 2500, 3500)] == [
        {"price": 9}, {"price": 8}, {"price": 7},
    ]  # fmt: skip


def test_of_two_for_the_same_moment_the_one_behind_in_the_partition_counts() -> None:
    for order in ((0, 1), (1, 0)):
        prices = Reference({})
        for offset in order:
            prices.put("prices", "p", 1000, {"price": offset}, came=1000, partition=0, offset=offset)
        assert prices.as_of("prices", "p", 1000) == {"price": 1}


def test_after_a_tombstone_nothing_is_known_but_what_was_before_it() -> None:
    prices = known((1000, {"price": 9}), (2000, None), (3000, {"price": 7}))
    assert [prices.as_of("prices", "p", when) for when in (1999, 2000, 3000)] == [
        {"price": 9}, None, {"price": 7},
    ]  # fmt: skip


def test_the_versions_of_an_id_are_bounded_in_number() -> None:
    prices = known(*((n, {"price": n}) for n in range(MOST_VERSIONS + 50)))
    assert prices.as_of("prices", "p", 49) is None
    assert prices.as_of("prices", "p", 50) == {"price": 50}


def test_what_held_when_the_time_kept_began_is_kept() -> None:
    prices = known((0, {"price": 1}), (DAY, {"price": 2}), (3 * DAY, {"price": 3}), (KEPT + 2 * DAY, {}))
    assert prices.as_of("prices", "p", DAY - 1) is None
    assert prices.as_of("prices", "p", 2 * DAY) == {"price": 2}


def test_a_price_announced_for_the_far_future_does_not_push_out_todays() -> None:
    prices = known((1000, {"price": 9}))
    prices.put("prices", "p", 1000 + 2 * KEPT, {"price": 1}, came=2000, partition=0, offset=1)
    assert prices.as_of("prices", "p", 3000) == {"price": 9}


def test_a_history_is_the_same_after_it_was_stored() -> None:
    table: dict[str, Known] = {}
    Reference(table).put("prices", "p", 5, {"price": 1.5, "currency": "USD"}, 5, 0, 7)
    Reference(table).put("prices", "p", 6, None, 6, 0, 8)
    [known] = table.values()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(known), type=Known) == known


# --- records

NOW = at(60)


@pytest.mark.parametrize(
    ("kind", "record", "id", "fields"),
    [
        ("products", {"product_id": "p", "name": "Shoe", "url": "u"}, "p", {"name": "Shoe"}),
        ("prices", {"product_id": "p", "price": 5, "currency": "USD"}, "p", {"price": 5, "currency": "USD"}),
        ("stock", {"product_id": "p", "quantity": 0}, "p", {"in_stock": False, "stock_quantity": 0}),
        ("stock", {"product_id": "p", "quantity": 2, "store_id": "s"}, "p/s",
         {"in_stock": True, "stock_quantity": 2}),
        ("stores", {"store_id": "s", "name": "Mitte", "country": "DE", "city": "Berlin"}, "s",
         {"store_name": "Mitte", "store_country": "DE", "store_city": "Berlin"}),
        ("content", {"content_id": "c", "title": "How to run", "kind": "article"}, "c",
         {"content_title": "How to run", "content_kind": "article"}),
    ],
)  # fmt: skip
def test_a_record_says_what_events_are_completed_with(
    kind: str, record: dict[str, Any], id: str, fields: dict[str, Any]
) -> None:
    told = read(kind, orjson.dumps({**record, "timestamp": stamp(5)}), None, NOW)
    assert told == (at(5), kind, id, at(5), fields)


def test_without_a_time_it_is_so_from_when_it_came() -> None:
    told = read("products", b'{"product_id": "p"}', None, NOW)
    assert (told.came, told.at) == (NOW, NOW)


def test_what_is_to_be_so_later_comes_now() -> None:
    raw = orjson.dumps({"product_id": "p", "price": 5, "currency": "USD", "timestamp": stamp(600)})
    told = read("prices", raw, None, NOW)
    assert (told.came, told.at) == (NOW, at(600))


def test_a_record_without_a_value_ends_what_its_key_names() -> None:
    assert read("prices", None, b"p", NOW) == (NOW, "prices", "p", NOW, None)


@pytest.mark.parametrize(
    ("kind", "raw", "reason"),
    [
        ("prices", None, "no-key"),
        ("prices", b"", "not-json"),
        ("prices", b"[]", "wrong-type"),
        ("prices", b'{"product_id": "p", "price": -1, "currency": "USD"}', "wrong-type"),
        ("prices", b'{"product_id": "p", "price": 1}', "wrong-type"),
        ("products", b'{"product_id": ""}', "wrong-type"),
        ("stock", b'{"product_id": "p", "quantity": 1, "timestamp": "soon"}', "wrong-type"),
        ("content", b"\xff", "not-json"),
    ],
)
def test_what_is_no_such_record_is_told_apart(kind: str, raw: bytes | None, reason: str) -> None:
    with pytest.raises(BadHeader) as bad:
        read(kind, raw, None, NOW)
    assert bad.value.reason == reason
