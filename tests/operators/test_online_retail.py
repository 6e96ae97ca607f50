"""Real customers: their features are those that a batch computation over all their lines gives.

`make truth` does the same for the whole data set. See `tests/data/ATTRIBUTION.md`.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from bench.online_retail import Invoice, Shop, book, invoices
from operators.distinct import EXACT
from operators.features import Feature
from operators.panes import LIFETIME
from tests.events import RETAIL
from tests.operators.test_features import by_hand

FILE = Path(__file__).parents[1] / "data" / "online_retail_30_customers.csv.gz"
DAY = 86_400_000
FIVE_STANDARD_ERRORS = 5 * 0.0325


def values(slot: str, invoice: Invoice) -> list[Any]:
    """What an invoice says to a measure, in units."""
    if slot == "refunds$":
        return [invoice.total] if invoice.refund else []
    if invoice.refund:
        return []
    return {
        "orders$": [invoice.total],
        "order_channels": [invoice.source],
        "ordered_products": [line.product for line in invoice.lines],
        "ordered_categories": [line.category for line in invoice.lines],
        "ordered_prices$": [line.price for line in invoice.lines],
        "ordered_quantities#": [line.quantity for line in invoice.lines],
    }.get(slot, [])


@pytest.fixture(scope="module")
def history() -> list[Invoice]:
    return invoices(FILE)


def test_every_feature_of_real_customers_is_that_of_a_batch_computation(history: list[Invoice]) -> None:
    shop = Shop(book(RETAIL.read_text()))
    features = [it for it in shop.playbook.features.values() if isinstance(it, Feature)]
    dice = random.Random(1)
    moments = sorted(dice.randrange(history[0].at, history[-1].at + 30 * DAY) for _ in range(10))
    done = estimated = 0
    for now in moments:
        known = [invoice for invoice in history if invoice.at <= now]
        shop.add(known[done:])
        done = len(known)
        for customer, found in shop.features([feature.name for feature in features], now):
            for feature in features:
                edge = 0 if feature.width == LIFETIME else -((feature.window - now) // feature.width)
                inside = [
                    (invoice.at, value)
                    for invoice in known
                    if invoice.customer == customer and invoice.at >= edge * feature.width
                    for value in values(feature.slot, invoice)
                ]
                wanted = by_hand(feature.aggregate, inside, now) if feature.aggregate != "open" else 0
                got = found[feature.name]
                if feature.aggregate == "distinct" and wanted > EXACT:
                    estimated += 1
                    assert got == pytest.approx(wanted, rel=FIVE_STANDARD_ERRORS)
                else:
                    assert got == wanted, (feature.name, customer, now)
    assert len(shop.customers) == 30
    assert estimated
