"""The laws of reference data: an event meets what was so at its time, whatever came when and how."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from operators import playbook as playbooks
from operators.identity import customer_id
from operators.reference import KEPT, MOST_VERSIONS, Reference
from tests.events import Inputs, at, event, stamp, track
from tests.properties.logs import law
from tests.simulate import Simulation, cut_up, replay

SHOP = playbooks.load("""
scope: shop
sources: {web: {}, pos: {}}
identifiers: {user_id: {limit: 1}, anonymous_id: {}}
reference: {products: {}, prices: {}}
measures:
  orders: {on: [Order Completed], value: properties.total, unit: money}
  prices_seen: {on: [Product Viewed], value: properties.price, unit: money}
  brands_seen: {on: [Product Viewed], value: properties.brand}
features:
  revenue: {measure: orders, aggregate: sum}
  orders: {measure: orders, aggregate: count}
  cheapest: {measure: prices_seen, aggregate: min}
  dearest: {measure: prices_seen, aggregate: max}
  brands: {measure: brands_seen, aggregate: distinct}
engine: {alignment: 30m}
""")

# --- versions

DAY = 86_400_000
versions = st.lists(
    st.tuples(st.sampled_from(["p", "q"]), st.integers(0, 6), st.sampled_from([1, 2, 3, None])), max_size=30
)


@law
@given(versions, st.randoms())
def test_as_of_is_the_last_that_was_said_for_it_in_any_order_of_arrival(told: Any, dice: Any) -> None:
    rows = [(id, when * 1000, offset, price) for offset, (id, when, price) in enumerate(told)]
    came = dice.sample(rows, len(rows))
    known = Reference({})
    for id, when, offset, price in came:
        known.put("prices", id, when, price and {"price": price}, when, 0, offset)
    for id in ("p", "q"):
        for now in range(0, 7000, 500):
            said = [(when, offset, price) for one, when, offset, price in rows if one == id and when <= now]
            price = max(said)[2] if said else None
            assert known.as_of("prices", id, now) == (price and {"price": price})


@law
@given(st.lists(st.integers(0, 3 * KEPT // DAY), max_size=12), st.integers(0, MOST_VERSIONS), st.randoms())
def test_what_is_kept_does_not_depend_on_the_order_of_arrival(days: Any, more: int, dice: Any) -> None:
    rows = [(day * DAY, offset) for offset, day in enumerate([*days, *[900] * more])]
    kept: list[dict[str, Any]] = []
    for came in (rows, dice.sample(rows, len(rows))):
        kept.append({})
        for when, offset in came:
            Reference(kept[-1]).put("prices", "p", when, {"price": offset}, when, 0, offset)
    assert kept[0] == kept[1]


# --- the join


class Said:
    """A shop's day: each topic's records in the order of their times, and what the orders must come to."""

    def __init__(self, deeds: list[tuple[str, float, str, int]]) -> None:
        self.products: list[bytes] = []
        self.prices: list[bytes] = []
        self.channels: list[list[bytes]] = [[], []]
        self.revenue = {"ann": 0, "ben": 0}
        prices: dict[tuple[str, float], int] = {}
        orders: list[tuple[str, str, float, int]] = []
        now = 0.0
        for number, (deed, gap, product, amount) in enumerate(deeds):
            now += gap
            about = {"product_id": product, "timestamp": stamp(now)}
            user = ("ann", "ben")[number % 2]
            if deed == "price":
                prices[product, now] = amount
                self.prices.append(orjson.dumps({**about, "price": amount, "currency": "USD"}))
            elif deed == "rename":
                self.products.append(orjson.dumps({**about, "brand": f"b{amount}"}))
            elif deed == "view":
                self._say(
                    track("Product Viewed", now, id=f"m{number}", user=user, product_id=product), amount
                )
            else:
                line = {"product_id": product, "quantity": amount}
                self._say(
                    track("Order Completed", now, id=f"m{number}", user=user, order_id="o", products=[line]),
                    amount,
                )
                orders.append((user, product, now, amount))
        for user, product, when, amount in orders:
            known = [of for of in prices if of[0] == product and of[1] <= when]
            self.revenue[user] += 100 * amount * prices[max(known)] if known else 0
        for channel in self.channels:
            channel.append(event("page", now + 60, anonymous="clock"))

    def _say(self, raw: bytes, where: int) -> None:
        self.channels[where % 2].append(raw)

    def inputs(self) -> Inputs:
        topics = {"shop.prices/0": self.prices, "shop.products/0": self.products}
        topics |= {"shop.pos/0": self.channels[0], "shop.web/0": self.channels[1]}
        return {
            place: [(offset, at(100_000), raw) for offset, raw in enumerate(rows)]
            for place, rows in topics.items()
        }


# A second is enough between a price and an order; at one moment the price comes first.
deeds = st.lists(
    st.tuples(
        st.sampled_from(["price", "price", "rename", "view", "order", "order"]),
        st.sampled_from([0, 0, 1 / 60, 1, 5, 40]),
        st.sampled_from(["p", "q"]),
        st.integers(1, 3),
    ),
    max_size=20,
)
deliveries = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 4), st.integers(0, 4)), max_size=8
)


@law
@given(deeds, deliveries)
def test_an_order_is_priced_with_the_price_of_its_moment_however_the_records_come(
    deeds: Any, deliveries: Any
) -> None:
    said = Said(deeds)
    log = said.inputs()
    outcome = replay(SHOP, log, cut_up(SHOP, log, deliveries))
    for user, revenue in said.revenue.items():
        found = outcome.features_of(customer_id("shop", f"user_id:{user}"), at(1000))
        assert (found["revenue"] or 0) == revenue


@law
@given(deeds, deliveries, deliveries)
def test_how_it_was_delivered_and_cut_makes_no_difference(deeds: Any, one: Any, other: Any) -> None:
    log = Said(deeds).inputs()
    first, second = (replay(SHOP, log, cut_up(SHOP, log, it)) for it in (one, other))
    assert first.features(at(1000)) == second.features(at(1000))
    assert first.outputs() == second.outputs()


@law
@given(deeds, deliveries, st.data())
def test_shards_and_crashes_come_to_what_one_shard_does(deeds: Any, deliveries: Any, data: Any) -> None:
    log = Said(deeds).inputs()
    cuts = cut_up(SHOP, log, deliveries)
    crash = data.draw(st.integers(0, len(cuts)))
    saved = data.draw(st.integers(0, crash))
    simulation = Simulation(SHOP, log)
    snapshot = simulation.snapshot()
    for number, step in enumerate(cuts, 1):
        simulation.cut(step)
        if number == saved:
            snapshot = simulation.snapshot()
        if number == crash:
            simulation.crash(snapshot)
    outcome, known = simulation.finish().outcome(), replay(SHOP, log, cuts)
    assert not simulation.altered
    assert outcome.features(at(1000)) == known.features(at(1000))
    assert outcome.outputs() == known.outputs()
    assert len({str(sorted(shard.known.items())) for shard in simulation.shards}) == 1
    assert all(shard.customers.tally.balanced() for shard in simulation.shards)
    for topic, count in simulation.resolver.progress.received.items():
        rows = [shard.customers.counts.get(topic, {}) for shard in simulation.shards]
        assert count == sum(row.get("received", 0) for row in rows)
