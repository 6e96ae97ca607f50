"""Events are completed with what was so when they happened. Times are ms."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from operators.enrichment import Enrichment
from operators.reference import Reference
from schemas.reference import RECORDS

KNOWN: list[tuple[str, str, int, dict[str, Any] | None]] = [
    ("products", "p", 0, {"name": "Shoe", "category": "shoes", "brand": "Roe"}),
    ("products", "p", 1000, {"name": "Boot", "category": "shoes", "brand": "Roe"}),
    ("prices", "p", 0, {"price": 50.0, "currency": "USD"}),
    ("prices", "p", 1000, {"price": 40.0, "currency": "USD"}),
    ("prices", "q", 0, {"price": 5, "currency": "USD"}),
    ("prices", "euro", 0, {"price": 9.0, "currency": "EUR"}),
    ("prices", "sold", 0, {"price": 9.0, "currency": "USD"}),
    ("prices", "sold", 1000, None),
    ("stock", "p", 0, {"in_stock": True, "stock_quantity": 3}),
    ("stock", "p/s", 0, {"in_stock": False, "stock_quantity": 0}),
    ("stores", "s", 0, {"store_name": "Mitte", "store_city": "Berlin"}),
    ("content", "c", 0, {"content_title": "How to run"}),
]


def filled(properties: Any, at: int = 500, event: str = "Product Viewed", kinds: Any = RECORDS) -> Any:
    reference = Reference({})
    for offset, (kind, id, when, fields) in enumerate(KNOWN):
        reference.put(kind, id, when, fields, when, 0, offset)
    completed = copy.deepcopy(properties)
    Enrichment(reference, kinds, "USD").fill(event, completed, at)
    return completed


def ordered(*lines: Any, at: int = 500, **more: Any) -> Any:
    return filled({"order_id": "o", "products": list(lines), **more}, at, "Order Completed")


def test_a_product_is_named_as_it_was_called_then() -> None:
    assert filled({"product_id": "p"}, at=999)["name"] == "Shoe"
    assert filled({"product_id": "p"}, at=1000)["name"] == "Boot"


def test_all_that_is_known_of_a_product_is_filled_in() -> None:
    assert filled({"product_id": "p"}) == {
        "product_id": "p", "name": "Shoe", "category": "shoes", "brand": "Roe", "price": 50.0,
        "in_stock": True, "stock_quantity": 3,
    }  # fmt: skip


def test_what_the_event_says_itself_counts() -> None:
    found = filled({"product_id": "p", "name": "Clog", "price": 1, "brand": None, "in_stock": False})
    assert (found["name"], found["price"], found["brand"], found["in_stock"]) == ("Clog", 1, "Roe", False)


def test_an_order_is_priced_with_the_prices_of_its_moment() -> None:
    basket = [{"product_id": "p", "quantity": 2}, {"product_id": "q"}]
    assert ordered(*basket, at=999)["total"] == 105
    assert ordered(*basket, at=1000)["total"] == 85
    assert [line["price"] for line in ordered(*basket, at=1000)["products"]] == [40, 5]


def test_prices_and_totals_that_were_given_are_not_touched() -> None:
    assert ordered({"product_id": "p", "price": 1}, {"product_id": "q"})["total"] == 6
    assert ordered({"product_id": "p"}, total=3)["total"] == 3


@pytest.mark.parametrize("id", ["unknown", "euro", "sold"])
def test_a_total_that_is_not_wholly_known_is_not_made_up(id: str) -> None:
    assert "total" not in ordered({"product_id": "q"}, {"product_id": id}, at=1000)


def test_no_total_is_put_into_other_events() -> None:
    assert "total" not in filled({"products": [{"product_id": "p"}]})


def test_a_price_is_filled_in_only_where_the_event_is_in_its_currency() -> None:
    assert "price" not in filled({"product_id": "p", "currency": "EUR"})
    assert filled({"product_id": "euro", "currency": "EUR"})["price"] == 9
    assert "price" not in filled({"product_id": "euro"})
    assert "price" not in ordered({"product_id": "p", "currency": "EUR"})["products"][0]


def test_in_a_store_the_stores_own_stock_counts() -> None:
    found = filled({"product_id": "p", "store_id": "s"})
    assert (found["in_stock"], found["store_name"], found["store_city"]) == (False, "Mitte", "Berlin")
    assert "in_stock" not in filled({"product_id": "p", "store_id": "elsewhere"})


def test_content_gets_its_title() -> None:
    assert filled({"content_id": "c"})["content_title"] == "How to run"


def test_only_the_kinds_that_the_scope_has_are_looked_up() -> None:
    assert filled({"product_id": "p"}, kinds={"prices"}) == {"product_id": "p", "price": 50.0}


@pytest.mark.parametrize(
    "properties",
    [
        {}, {"product_id": 7}, {"product_id": None}, {"product_id": ["p"]}, {"product_id": "nobody"},
        {"products": "p"}, {"products": [7, None, "p", [], {}]}, {"products": [{"product_id": {}}]},
        {"products": []}, {"store_id": 1}, {"content_id": {}}, {"store_id": "no", "content_id": "no"},
        {"products": [{"product_id": "x", "price": "5"}]}, {"products": [{"price": 1, "quantity": "2"}]},
        {"products": [{"price": 1, "quantity": 10**400}]}, {"products": [{"price": 1, "quantity": 2.5}]},
        {"product_id": "euro", "currency": {}}, {"products": [{"product_id": "euro", "currency": []}]},
        {"products": [{"price": 10**400}, {"price": 0.5}]},
    ],
)  # fmt: skip
def test_what_cannot_be_completed_stays_as_it_is(properties: dict[str, Any]) -> None:
    assert filled(properties, event="Order Completed") == properties
