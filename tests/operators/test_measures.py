"""What is taken from events, and what is derived from it."""

from __future__ import annotations

from typing import Any

import pytest

from operators import playbook
from operators.playbook import Playbook
from tests.events import at, consent, event, run, track
from tests.outcome import Outcome

HEAD = """\
scope: shop
sources: {web: {}, app: {}, pos: {}}
identifiers: {user_id: {}}
timezone: Europe/Vienna
"""


def book(text: str) -> Playbook:
    return playbook.load(HEAD + text)


def features(outcome: Outcome, minutes: float) -> dict[str, Any]:
    (customer,) = outcome.customers
    return outcome.features_of(customer, at(minutes))


def test_a_measure_may_count_only_some_events() -> None:
    shop = book("""\
measures: {discounts: {on: [Order Completed], value: properties.discount, unit: money, where: discount > 0}}
features:
  discounted: {measure: discounts, aggregate: count}
  discount: {measure: discounts, aggregate: sum}
""")
    orders = [
        track("Order Completed", minute, user="u1", order_id=f"o{minute}", total=9, **more)
        for minute, more in enumerate([{"discount": 1.5}, {"discount": 0}, {}, {"discount": 2}])
    ]
    assert features(run(*orders, playbook=shop), 9) == {"discounted": 2, "discount": 350}


def test_the_hour_and_the_weekday_are_those_of_the_shop() -> None:
    shop = book("""\
measures: {hours: {on: [page], value: hour}, days: {on: [page], value: weekday}}
features: {hour: {measure: hours, aggregate: top}, day: {measure: days, aggregate: last}}
""")
    pages = [event("page", 0, user="u1"), event("page", 14 * 60, user="u1")]
    # Monday 10:00 and Tuesday 00:00 in UTC
    assert features(run(pages[0], playbook=shop), 1) == {"hour": 11, "day": 0}
    assert features(run(pages[1], playbook=shop), 24 * 60) == {"hour": 1, "day": 1}


def test_without_a_session_id_each_half_hour_is_a_session() -> None:
    shop = book("""\
measures: {visits: {on: [page], value: session}}
features: {sessions_24h: {measure: visits, aggregate: distinct, window: 24h}}
""")
    named = [
        event("page", m, user="u1", context={"sessionId": s}) for m, s in ((0, "a"), (5, "b"), (70, "a"))
    ]
    assert features(run(*named, playbook=shop), 71) == {"sessions_24h": 2}
    unnamed = [event("page", minute, user="u1") for minute in (0, 29, 31, 120)]
    assert features(run(*unnamed, playbook=shop), 121) == {"sessions_24h": 3}


def test_the_channel_is_the_source_that_the_event_came_from() -> None:
    shop = book("""\
measures: {channels: {on: [page], value: source}}
features: {favourite_channel: {measure: channels, aggregate: top}}
""")
    assert features(run(event("page", 0, user="u1"), playbook=shop), 1) == {"favourite_channel": "web"}


def test_every_line_of_an_order_counts() -> None:
    shop = book("""\
measures: {quantities: {on: [Order Completed], value: "properties.products[].quantity", unit: number}}
features: {items: {measure: quantities, aggregate: sum}, lines: {measure: quantities, aggregate: count}}
""")
    lines = [{"product_id": "a", "quantity": 2}, {"product_id": "b"}, {"product_id": "c", "quantity": 3}]
    order = track("Order Completed", 0, user="u1", order_id="o", total=9, products=lines)
    assert features(run(order, playbook=shop), 1) == {"items": 5.0, "lines": 2}


def test_a_case_is_open_until_it_is_closed_also_when_that_is_heard_first() -> None:
    shop = book("""\
measures: {cases: {on: [Case Opened], closes: [Case Closed], value: properties.case_id}}
features: {open_cases: {measure: cases, aggregate: open}, cases: {measure: cases, aggregate: count}}
""")
    heard = [
        track("Case Closed", 5, user="u1", case_id="b"),
        track("Case Opened", 2, user="u1", case_id="b"),
        track("Case Opened", 6, user="u1", case_id="a"),
    ]
    assert features(run(*heard, playbook=shop), 9) == {"open_cases": 1, "cases": 2}


def test_a_feature_may_be_derived_from_others_and_is_null_where_that_makes_no_sense() -> None:
    shop = book("""\
measures: {orders: {on: [Order Completed], value: properties.total, unit: money}, pages: {on: [page]}}
features:
  orders: {measure: orders, aggregate: count}
  revenue: {measure: orders, aggregate: sum}
  pages: {measure: pages, aggregate: count}
  average: {expression: revenue / orders}
  per_page: {expression: average / pages}
  loyal: {expression: orders >= 2}
""")
    order = [track("Order Completed", m, user="u1", order_id=f"o{m}", total=5) for m in (0, 1)]
    assert features(run(*order, playbook=shop), 9) == {
        "orders": 2, "revenue": 1000, "pages": 0, "average": 500.0, "per_page": None, "loyal": True,
    }  # fmt: skip


def test_a_condition_that_does_not_fit_the_event_makes_a_dead_letter() -> None:
    shop = book("""\
measures: {m: {on: [page], where: depth > 3}}
features: {deep: {measure: m, aggregate: count}}
""")
    outcome = run(event("page", 0, user="u1", properties={"depth": "deep"}), playbook=shop)
    (dead,) = outcome.dead_letters.values()
    assert dead.reason == "wrong-property"
    assert "depth > 3" in dead.detail


def test_a_value_too_long_to_keep_makes_a_dead_letter() -> None:
    shop = book("""\
measures: {m: {on: [page], value: properties.path}}
features: {pages: {measure: m, aggregate: distinct}}
""")
    outcome = run(event("page", 0, user="u1", properties={"path": "x" * 600}), playbook=shop)
    (dead,) = outcome.dead_letters.values()
    assert dead.detail == "property path: longer than 512 characters"


def test_customer_dna_of_a_regular() -> None:
    def order(day: int, total: float, discount: float, category: str) -> bytes:
        line = {"product_id": f"p{day}", "category": category, "brand": "acme", "price": total, "quantity": 2}
        return track(
            "Order Completed", day * 1440, user="u1", order_id=f"o{day}", total=total, discount=discount,
            products=[line],
        )  # fmt: skip

    views = [
        track("Product Viewed", 20 * 1440 + m, user="u1", product_id="p", category=c, brand=b, price=40)
        for m, c, b in ((1, "shoes", "bolt"), (2, "shoes", "acme"), (3, "bags", "bolt"))
    ]
    outcome = run(
        order(0, 30, 0, "shoes"),
        order(10, 10, 10, "bags"),
        order(20, 20, 0, "shoes"),
        *views,
        consent(1, user="u1"),
    )
    found = features(outcome, 25 * 1440)
    day = 86_400_000
    assert {
        "orders_7d": 1, "orders_30d": 3, "revenue_90d": 6000, "since_last_order": 5 * day,
        "time_between_orders": 10 * day, "orders_late": 0.5, "items_per_order_365d": 2.0,
        "favourite_category": "shoes", "favourite_brand": "bolt", "favourite_category_bought": "shoes",
        "favourite_channel": "web", "favourite_hour": 10, "discount_share_365d": 1 / 7,
        "price_sensitivity": 1 / 3, "relative_price": 0.5, "open_cases": 0,
    }.items() <= found.items()  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "path", "said"),
    [
        ("measures: {m: {on: [x], value: sesion}}", "measures.m.value", "did you mean 'session'?"),
        ("measures: {m: {on: [x], value: hour, unit: number}}", "measures.m.unit", "leave the unit out"),
        ("measures: {m: {on: [x], where: 1 +}}", "measures.m.where", "cannot read"),
        ("measures: {m: {on: [x], closes: [y]}}", "measures.m.closes", "needs a value"),
        ("measures: {m: {on: [x], closes: [x], value: properties.k}}", "measures.m.closes", "cannot both"),
        ("measures: {m-1: {on: [x]}}", "measures.m-1", "letters, digits and _"),
        ("features: {f: {expression: g + 1}}", "features.f.expression", "unknown name 'g'"),
        ("features: {f: {expression: f + 1}}", "features.f.expression", "must stand above"),
        ("features: {f: {expression: 1 + 1, window: 1d}}", "features.f.window", "not both"),
        ("timezone: Europe/Viena", "timezone", "did you mean 'Europe/Vienna'?"),
    ],
)  # fmt: skip
def test_mistakes_in_measures_and_features(wrong: str, path: str, said: str) -> None:
    head = HEAD.replace("timezone: Europe/Vienna\n", "")
    with pytest.raises(playbook.BadPlaybook) as bad:
        playbook.load(head + wrong + "\n")
    found = {mistake.path: (mistake.line, mistake.problem) for mistake in bad.value.mistakes}
    line, problem = found[path]
    assert (line, said in problem) == (4, True), problem


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ("{measure: views, aggregate: sum}", "cannot sum text"),
        ("{measure: pages, aggregate: top}", "needs a value"),
        ("{measure: views, aggregate: open}", "what closes it?"),
        ("{measure: views, aggregate: count, window: 0d}", "longer than 0"),
    ],
)
def test_an_aggregate_that_does_not_fit_its_measure(feature: str, said: str) -> None:
    with pytest.raises(playbook.BadPlaybook, match=said.replace("?", r"\?")):
        book(f"""\
measures: {{views: {{on: [x], value: properties.p}}, pages: {{on: [page]}}}}
features: {{f: {feature}}}
""")
