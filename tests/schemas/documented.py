"""What docs/contracts.md shows of the code: `python -m tests.schemas.documented` writes it there.

Between `<!-- NAME -->` and `<!-- end -->` stands what `parts()` gives for NAME.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from flows.cloudevents import header
from operators import effects
from operators import playbook as playbooks
from operators.effects import Effect
from schemas import inbound, topics
from schemas.contracts import VERSIONS
from tests.events import at, consent, event, inputs, track
from tests.simulate import Simulation, Step, cut_up

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "contracts.md"
CONSUMER = ROOT / "docs" / "consumer.py"
SHOP = """
scope: shop
sources: {web: {}, app: {}, pos: {}}
identifiers: {user_id: {limit: 1}, email: {}, anonymous_id: {}}
measures:
  orders: {on: [Order Completed], value: properties.total, unit: money}
  views: {on: [Product Viewed], value: properties.product_id}
features:
  orders_lifetime: {measure: orders, aggregate: count}
  revenue_lifetime: {measure: orders, aggregate: sum}
  views_24h: {measure: views, aggregate: count, window: 24h}
  last_product_viewed: {measure: views, aggregate: last}
profiles: {every: 15m}
churn: {on: [Order Completed], value: properties.total, horizon: 60d}
intent: {on: [Order Completed], signals: {looks: [Product Viewed], adds: [Product Added]}}
triggers:
  cart_abandoned:
    kind: absence
    on: [Product Added]
    basket: true
    key: properties.cart_id
    unless: [{on: Order Completed, key: properties.cart_id}]
    wait: 15m
    channel: email
    purpose: marketing
    facts: [orders_lifetime, revenue_lifetime, views_24h]
"""
_PART = re.compile(r"(<!-- (\S+) -->\n).*?(<!-- end -->)", re.S)


def parts() -> dict[str, str]:
    """Text by name."""
    return {
        "topics": _topics(),
        "events": _events(),
        "versions": _versions(),
        "consumer": f"```python\n{CONSUMER.read_text()}```\n",
        **{name: f"```json\n{_pretty(record)}\n```\n" for name, record in examples().items()},
    }


def examples() -> dict[str, dict[str, Any]]:
    """A record of every outbound contract, as a small run makes it."""
    shopping = [
        consent(0, user="ann"),
        track("Order Completed", 0.5, user="ann", order_id="order-0", total=120),
        event("identify", 1, user="ann", anonymous="cookie-1", traits={"email": "ann@shop.example"}),
        event("track", 2, anonymous="cookie-1", name="Product Added", properties={
            "cart_id": "cart-1", "product_id": "shoe-1", "name": "Runner 3", "price": 79.9}),
        track("Product Added", 3, user="bob", cart_id="cart-2", product_id="shoe-1", price=79.9),
        track("Order Completed", 4, user="ann", order_id="order-1", total="free"),
        track("Product Viewed", 5, anonymous="cookie-2", product_id="shoe-2"),
        event("identify", 6, user="ann", anonymous="cookie-2"),
        track("Order Completed", 30, user="ann", order_id="order-2", cart_id="cart-1", total=79.9),
    ]  # fmt: skip
    shop = playbooks.load(SHOP)
    log = inputs(shopping, arrived=31)
    run = Simulation(shop, log)
    for step in cut_up(shop, log, [[1]] * len(shopping)):
        run.cut(step)
    run.cut(Step({}, at(60)))
    run.finish()
    sent = list(run.effects.values())

    def first(topic: int, wanted: bytes = b"") -> Effect:
        return next(it for it in sent if it.topic == topic and wanted in it.body)

    trigger = first(topics.TRIGGERS, b'"decided_at"')
    counts = next(shard.customers.counts for shard in run.shards if shard.customers.counts)
    chosen = {
        "trigger": trigger,
        "trigger-cancelled": first(topics.TRIGGERS, b'"cancelled_at"'),
        "profile": first(topics.PROFILES, f'"customer":"{trigger.key}"'.encode()),
        "identity": first(topics.IDENTITIES),
        "decision": first(topics.DECISIONS),
        "dead-letter": first(topics.DEAD_LETTERS),
        "ledger": effects.ledger(len(run.cuts), "0", counts),
    }
    return {name: _record(effect, len(run.cuts)) for name, effect in chosen.items()}


def _record(effect: Effect, cut: int) -> dict[str, Any]:
    found = header(effect, cut, "oncue/shop", max(effect.arrived, at(60)) + 40)
    return {
        "topic": topics.output("shop", effect.topic),
        "key": effect.key,
        "headers": {name: (text or b"").decode() if type(text) is not str else text for name, text in found},
        "value": json.loads(effect.body),
    }


def _topics() -> str:
    rows = [f"| `{it['address']}` | {it['key']} | {it['cleanup']} |" for it in topics.published().values()]
    return "\n".join(["| topic | record key | clean-up |", "|---|---|---|", *rows, ""])


def _events() -> str:
    groups: dict[type[msgspec.Struct], list[str]] = {}
    for name, kind in inbound.PROPERTIES.items():
        groups.setdefault(kind, []).append(name)
    rows = []
    for kind, names in groups.items():
        fields = msgspec.structs.fields(kind)
        shown = [f"**{field.encode_name}**" if field.required else field.encode_name for field in fields]
        rows.append(f"| {', '.join(names)} | {', '.join(shown)} |")
    return "\n".join(["| event | properties |", "|---|---|", *rows, ""])


def _versions() -> str:
    if not VERSIONS:
        return "All contracts are at 1-0-0.\n"
    rows = [f"| `{name}` | {version} |" for name, version in sorted(VERSIONS.items())]
    return "\n".join(["All are at 1-0-0 but these:\n", "| contract | version |", "|---|---|", *rows, ""])


def _pretty(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=2, ensure_ascii=False)


def written(page: str) -> str:
    """The page with its parts as they are now. Raises KeyError for a part that nobody gives."""
    now = parts()
    return _PART.sub(lambda found: f"{found[1]}\n{now[found[2]]}\n{found[3]}", page)


def shown(page: str) -> dict[str, str]:
    """The parts as they stand on the page."""
    found = _PART.finditer(page)
    return {it[2]: it[0].removeprefix(it[1]).removesuffix(it[3]).strip("\n") for it in found}


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
