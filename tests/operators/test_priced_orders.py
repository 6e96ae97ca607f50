"""Reference data and events together: what was so when it happened. Times are minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from operators import playbook as playbooks
from operators.identity import customer_id
from tests.events import Inputs, at, event, stamp, track
from tests.outcome import Outcome
from tests.simulate import Simulation, cut_up, replay

SHOP = playbooks.load("""
scope: shop
sources: {web: {}}
identifiers: {user_id: {limit: 1}, anonymous_id: {}}
reference: {prices: {}, products: {}, stock: {}}
measures:
  orders: {on: [Order Completed], value: properties.total, unit: money}
  brands: {on: [Product Viewed], value: properties.brand}
  out_of_stock: {on: [Product Viewed], value: properties.stock_quantity, unit: number}
features:
  revenue: {measure: orders, aggregate: sum}
  last_brand: {measure: brands, aggregate: last}
  least_stock: {measure: out_of_stock, aggregate: min}
triggers:
  cart_abandoned:
    kind: absence
    on: [Product Added]
    basket: true
    key: properties.cart_id
    wait: 15m
    where: basket_value >= 2000
    channel: email
    purpose: marketing
""")
ANN = customer_id("shop", "user_id:ann")


def price(minutes: float, amount: float, product: str = "p") -> bytes:
    about = {"product_id": product, "price": amount, "currency": "USD", "timestamp": stamp(minutes)}
    return orjson.dumps(about)


def product(minutes: float, **fields: Any) -> bytes:
    return orjson.dumps({"product_id": "p", "timestamp": stamp(minutes), **fields})


def order(minutes: float, **more: Any) -> bytes:
    line = {"product_id": "p"}
    return track("Order Completed", minutes, user="ann", order_id="o", products=[line], **more)


def log(
    prices: Sequence[bytes] = (),
    events: Sequence[bytes] = (),
    products: Sequence[bytes] = (),
    stock: Sequence[bytes] = (),
    arrived: float = 100_000,
) -> Inputs:
    topics = {"shop.prices/0": prices, "shop.products/0": products, "shop.stock/0": stock}
    return {
        place: [(offset, at(arrived), raw) for offset, raw in enumerate(rows)]
        for place, rows in {**topics, "shop.web/0": events}.items()
    }


def told(**topics: Any) -> Outcome:
    """Everything as it comes, in one go."""
    inputs = log(**topics)
    return replay(SHOP, inputs, cut_up(SHOP, inputs))


def revenue(outcome: Outcome, now: float = 1000) -> Any:
    return outcome.features_of(ANN, at(now))["revenue"]


SECOND = 1 / 60


def test_a_second_before_the_change_the_old_price_counts_and_a_second_after_it_the_new_one() -> None:
    prices = [price(0, 10), price(5, 20)]
    assert revenue(told(prices=prices, events=[order(5 - SECOND)])) == 1000
    assert revenue(told(prices=prices, events=[order(5)])) == 2000
    assert revenue(told(prices=prices, events=[order(5 + SECOND)])) == 2000


def test_an_order_before_the_first_price_has_no_total_and_is_a_dead_letter() -> None:
    outcome = told(prices=[price(5, 10)], events=[order(4)])
    [letter] = outcome.dead_letters.values()
    assert letter.reason == "wrong-property"
    assert "total" in letter.detail


def test_a_price_that_was_announced_holds_from_its_time_on() -> None:
    prices = [price(0, 10), price(600, 5)]  # all arrive at minute 30
    outcome = told(prices=prices, events=[order(20), order(29)], arrived=30)
    assert revenue(outcome) == 2000
    later = told(prices=prices, events=[order(601)], arrived=602)
    assert revenue(later) == 500


def test_a_price_that_comes_late_counts_for_what_comes_after_it_and_changes_nothing_before() -> None:
    inputs = log(prices=[price(0, 10), price(3, 20)], events=[order(5), order(4, note="late")])
    simulation = Simulation(SHOP, inputs)
    first, second = {"shop.prices/0": 1, "shop.web/0": 1}, {"shop.prices/0": 2, "shop.web/0": 2}
    for ends in (first, second):
        simulation.cut(cut_up(SHOP, inputs)[0]._replace(ends=ends, watermark=at(5), last=False))
    assert revenue(simulation.finish().outcome()) == 1000 + 2000


def test_a_product_is_what_it_was_called_when_it_was_looked_at() -> None:
    products = [product(0, brand="Roe"), product(5, brand="Doe")]
    viewed = [track("Product Viewed", minutes, user="ann", product_id="p") for minutes in (4, 6)]
    assert told(products=products, events=viewed[:1]).features_of(ANN, at(9))["last_brand"] == "Roe"
    assert told(products=products, events=viewed).features_of(ANN, at(9))["last_brand"] == "Doe"


def test_what_is_in_stock_is_a_property_of_the_event() -> None:
    stock = [product(0, quantity=7), product(5, quantity=0)]
    viewed = [track("Product Viewed", minutes, user="ann", product_id="p") for minutes in (4, 6)]
    assert told(stock=stock, events=viewed[:1]).features_of(ANN, at(9))["least_stock"] == 7
    assert told(stock=stock, events=viewed).features_of(ANN, at(9))["least_stock"] == 0


def test_what_was_ended_by_a_tombstone_prices_no_more_orders() -> None:
    inputs = log(prices=[price(0, 10), b"\0p"], events=[order(5), order(90)])
    inputs["shop.prices/0"][1] = (1, at(60), b"\0p")
    outcome = replay(SHOP, inputs, cut_up(SHOP, inputs))
    assert revenue(outcome) == 1000
    assert [letter.offset for letter in outcome.dead_letters.values()] == [1]


def test_a_basket_is_worth_what_its_products_cost_when_they_were_put_in() -> None:
    added = track("Product Added", 3, user="ann", cart_id="c", product_id="p", quantity=2)
    inputs = log(prices=[price(0, 10), price(5, 1)], events=[added, event("page", 60, anonymous="clock")])
    outcome = replay(SHOP, inputs, cut_up(SHOP, inputs))
    [decision] = outcome.decisions.values()
    assert (decision.reason, decision.facts["basket_value"]) == ("consent-unknown", 2000)


def test_a_bad_record_is_one_dead_letter_and_is_counted_once() -> None:
    inputs = log(prices=[price(0, 10), b'{"product_id": "p"}', price(1, 11)], events=[order(5)])
    simulation = Simulation(SHOP, inputs, shards=3)
    for step in cut_up(SHOP, inputs):
        simulation.cut(step)
    outcome = simulation.finish().outcome()
    [letter] = outcome.dead_letters.values()
    assert (letter.topic, letter.offset, letter.reason) == ("shop.prices", 1, "wrong-type")
    assert letter.original == b'{"product_id": "p"}'
    rows = [shard.customers.counts.get("shop.prices", {}) for shard in simulation.shards]
    assert [sum(row.get(it, 0) for row in rows) for it in ("received", "accepted", "dead_lettered")] == [
        3,
        2,
        1,
    ]
    assert simulation.resolver.progress.received["shop.prices"] == 3
    assert revenue(outcome) == 1100


def test_how_long_a_merge_takes_does_not_change_the_price_of_what_waits_for_it() -> None:
    """Ann turns out to be a visitor; her order waits for the move while a late price comes in."""
    events = [
        event("identify", 1, user="ann"),
        event("page", 1.5, anonymous="cookie"),
        event("identify", 2, user="ann", anonymous="cookie"),
        order(5),
    ]
    inputs = log(prices=[price(0, 10), price(4, 20)], events=events)
    for back in (1, 0):
        simulation = Simulation(SHOP, inputs, shards=3)
        step = cut_up(SHOP, inputs)[0]._replace(watermark=at(5), last=False)
        for ends in ({"shop.prices/0": 1, "shop.web/0": 3}, {"shop.web/0": 4}, {"shop.prices/0": 2}):
            simulation.cut(step._replace(ends=ends), moves=[back])
        assert revenue(simulation.finish().outcome()) == 1000
