"""UCI Online Retail as oncue's events: a real shop's invoices, one customer each.

The data: D. Chen, "Online Retail", UCI Machine Learning Repository, 2015, doi:10.24432/C5BW33, CC BY 4.0.
An invoice becomes an Order Completed, a cancelled one (number C...) an Order Refunded. Lines without a
customer, with a price below half a penny, or that only correct the stock are left out. What the data lacks
is taken from what it has: the category is the first two characters of the stock code; an order from the
United Kingdom comes from the web, any other from the app.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from operators import playbook
from operators.customers import Customers
from operators.facts import feature_values
from operators.operations import EVENT, Pack
from operators.playbook import Playbook
from operators.records import Record
from operators.timers import Timers

PENNY = Decimal("0.01")


class Line(NamedTuple):
    """One line of an invoice. `price` and `total` in pence, `quantity` above 0."""

    product: str
    category: str
    quantity: int
    price: int

    @property
    def total(self) -> int:
        return self.quantity * self.price


class Invoice(NamedTuple):
    """`at`: ms. `source` is the name of a source of the retail playbook."""

    at: int
    number: str
    customer: str
    source: str
    refund: bool
    lines: list[Line]

    @property
    def total(self) -> int:
        return sum(line.total for line in self.lines)


@cache
def _pence(price: str) -> int:
    return int(Decimal(price).quantize(PENNY, ROUND_HALF_UP) / PENNY)


def invoices(path: Path) -> list[Invoice]:
    """All invoices of the file, by time."""
    found: dict[str, Invoice] = {}
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            refund = row["InvoiceNo"].startswith("C")
            quantity = -int(row["Quantity"]) if refund else int(row["Quantity"])
            price = _pence(row["UnitPrice"])
            if not row["CustomerID"] or quantity < 1 or price < 1:
                continue
            at = datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=UTC)
            invoice = found.setdefault(
                row["InvoiceNo"],
                Invoice(
                    round(at.timestamp() * 1000), row["InvoiceNo"], str(int(float(row["CustomerID"]))),
                    "web" if row["Country"] == "United Kingdom" else "app", refund, [],
                ),
            )  # fmt: skip
            invoice.lines.append(Line(row["StockCode"], row["StockCode"][:2], quantity, price))
    return sorted(found.values(), key=lambda invoice: (invoice.at, invoice.number))


def event(invoice: Invoice) -> bytes:
    """The invoice in the Segment Spec."""
    lines = [
        {"product_id": it.product, "category": it.category, "quantity": it.quantity, "price": it.price / 100}
        for it in invoice.lines
    ]
    return msgspec.json.encode(
        {
            "type": "track",
            "event": "Order Refunded" if invoice.refund else "Order Completed",
            "messageId": invoice.number,
            "timestamp": datetime.fromtimestamp(invoice.at / 1000, UTC).isoformat(),
            "userId": invoice.customer,
            "properties": {
                "order_id": invoice.number,
                "total": invoice.total / 100,
                "currency": "GBP",
                "products": lines,
            },
        }
    )


def line_events(path: Path) -> Iterator[tuple[int, bytes, bytes]]:
    """Every line of the file as an event of its own: (source number, record key, value), as they are there.

    A line with a price is an order or a refund of one product, any other a correction of the stock. Who has
    no customer number is known by the invoice.
    """
    with gzip.open(path, "rt", newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            refund = row["InvoiceNo"].startswith("C")
            quantity, price = abs(int(row["Quantity"])), _pence(row["UnitPrice"])
            who = (
                f'"userId":"{float(row["CustomerID"]):.0f}"'
                if row["CustomerID"]
                else (f'"anonymousId":"invoice-{row["InvoiceNo"]}"')
            )
            name = "Stock Corrected" if price < 1 else "Order Refunded" if refund else "Order Completed"
            product, at = row["StockCode"], row["InvoiceDate"].replace(" ", "T")
            value = (
                f'{{"type":"track","event":"{name}","messageId":"line-{number}","timestamp":"{at}Z",{who},'
                f'"properties":{{"order_id":"{row["InvoiceNo"]}","total":{quantity * price / 100:.2f},'
                f'"currency":"GBP","products":[{{"product_id":"{product}","category":"{product[:2]}",'
                f'"quantity":{quantity},"price":{price / 100:.2f}}}]}}}}'
            )
            source = 0 if row["Country"] == "United Kingdom" else 1
            yield source, (row["CustomerID"] or row["InvoiceNo"]).encode(), value.encode()


def book(text: str) -> Playbook:
    """The retail playbook in the shop's currency."""
    return playbook.load(text.replace("currency: USD", "currency: GBP", 1))


class Store(dict[str, Record]):
    def touch(self, record: Record, /) -> None:
        self[record.id] = record

    def drop(self, id: str, /) -> None:
        del self[id]


class Shop:
    """The customers of a playbook, folded by the engine's own core, invoice by invoice."""

    def __init__(self, shop: Playbook) -> None:
        self.playbook = shop
        self.customers = Store()
        self._fold = Customers(shop, 0, self.customers, Timers(lambda low, high: iter(())), {})
        self._number = 0
        self._watermark = -1

    def add(self, some: Iterable[Invoice]) -> None:
        """In order of time, one cut each."""
        for it in some:
            self._number += 1
            place = f"{self.playbook.topics[it.source]}/0"
            op = EVENT, it.customer, it.at, place, self._number, it.at, None, event(it)
            self._fold.apply(Pack(0, self._number, it.at, self._watermark, 0, it.at, False, [op]))
            self._watermark = it.at
        bad = {place: row for place, row in self._fold.counts.items() if row["dead_lettered"]}
        if bad:
            raise ValueError(f"events of the data set were refused: {bad}")

    def features(self, names: Iterable[str], now: int) -> Iterator[tuple[str, dict[str, object]]]:
        """Customer and features at `now` (ms)."""
        names = list(names)
        for id, record in self.customers.items():
            yield id, feature_values(self.playbook, record, names, now)
