"""The real shoppers' events through the engine and through a batch computation: the same candidates."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
import pytest

from operators.identity import customer_id
from operators.playbook import Playbook
from schemas.outbound import Decision
from tests.demo import oracle
from tests.demo.oracle import Found, Settings
from tests.events import retail
from tests.simulate import cut_up, replay

EVENTS = list(oracle.real_events())
# As it ships, and one that finds something at every turn.
TOUCHY = retail(
    ("    times: 3\n    within: 2h", "    times: 2\n    within: 2h"),
    ("    times: 5\n    within: 30m", "    times: 3\n    within: 10m"),
    ("by: 5%", "by: 0.01%"),
    ("when: basket_value >= 100000", "when: basket_value >= 20000"),
)


def with_a_sale(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same looks, but in every other minute everything costs 7 % less: no real price falls."""
    found = []
    for event in events:
        properties = event["properties"]
        if event["event"] == "Product Viewed" and int(event["timestamp"][14:16]) % 2:
            properties = properties | {"price": round(properties["price"] * 0.93, 2)}
        found.append(event | {"properties": properties})
    return found


BOTH = [
    pytest.param(retail(), Settings(), EVENTS, id="as they are"),
    pytest.param(TOUCHY, Settings(2, 3, 600, 0.0001, 200.0), with_a_sale(EVENTS), id="with a sale"),
]


def decided(book: Playbook, events: list[dict[str, Any]]) -> list[Found]:
    """What the engine decided. Nobody has consented to anything, so all of it is held back."""
    visitors = {customer_id("shop", f"anonymous_id:{name}"): name for name in _visitors()}
    end = round(max(map(oracle.time, EVENTS)) * 1000)
    rows = [(offset, end, orjson.dumps(event)) for offset, event in enumerate(events)]
    log = {"shop.web/0": rows}
    outcome = replay(book, log, cut_up(book, log, [[97]] * (len(rows) // 97)))
    assert not outcome.triggers
    held: list[Decision] = [it for it in outcome.decisions.values() if it.reason == "consent-unknown"]
    assert len(held) == len(outcome.decisions)
    return sorted(Found(it.rule, visitors[it.customer], it.key, it.decided_at / 1000) for it in held)


def _visitors() -> set[str]:
    return {event["anonymousId"] for event in EVENTS}


@pytest.mark.parametrize(("book", "settings", "events"), BOTH)
def test_the_engine_finds_what_a_batch_computation_finds(
    book: Playbook, settings: Settings, events: list[dict[str, Any]]
) -> None:
    wanted = oracle.candidates(events, settings)
    assert Counter(decided(book, events)) == Counter(wanted)
    rules = Counter(it.rule for it in wanted)
    assert min(rules["cart_abandoned"], rules["high_value_cart"]) >= 5, rules
    assert min(rules["repeated_interest"], rules["category_interest"]) > 100, rules
    assert events is EVENTS or rules["price_drop"] > 100, rules
