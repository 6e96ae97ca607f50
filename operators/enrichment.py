"""The join: what an event leaves out is filled in from reference data, as it was when the event happened."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from operators.reference import CONTENT, PRODUCT, STORE, Fields, Known, Reference, stock_id

ORDER = "Order Completed"
MOST_PIECES = 1_000_000_000  # of one line, as the contract has it


class Enrichment:
    """Fills the properties of events in place. What the event says itself always counts, what nothing is
    known about stays as it is, and nothing raises: properties are not validated yet.

    Parameters
    ----------
    kinds
        The kinds of reference data that the scope has.
    currency
        The scope's. A price is filled in only where the event is in the price's currency.
    """

    def __init__(self, reference: Reference, kinds: Collection[str], currency: str) -> None:
        self._get = reference.get
        self._currency = currency
        self._products, self._prices = "products" in kinds, "prices" in kinds
        self._stock, self._stores, self._content = "stock" in kinds, "stores" in kinds, "content" in kinds

    def fill(self, event: str, properties: dict[str, Any], at: int) -> None:
        """Complete what `event` of `at` (ms) says. An order without a total costs what its lines do."""
        product, lines = properties.get("product_id"), properties.get("products")
        store = properties.get("store_id")
        if type(product) is str:
            known = self._get(PRODUCT + product)
            if known:
                self._product(properties, known, at, properties.get("currency") or self._currency)
            if self._stock:
                if type(store) is str:
                    known = self._get(PRODUCT + stock_id(product, store))
                if known and "stock" in known:
                    _complete(properties, known["stock"].as_of(at))
        if type(lines) is list:
            currency = properties.get("currency") or self._currency
            for line in lines:
                if type(line) is dict and type(product := line.get("product_id")) is str:
                    known = self._get(PRODUCT + product)
                    if known:
                        self._product(line, known, at, line.get("currency") or currency)
            if event == ORDER and lines and properties.get("total") is None:
                total = _total(lines, currency)
                if total is not None:
                    properties["total"] = total
        if self._stores and type(store) is str:
            known = self._get(STORE + store)
            if known:
                _complete(properties, known["stores"].as_of(at))
        if self._content and type(content := properties.get("content_id")) is str:
            known = self._get(CONTENT + content)
            if known:
                _complete(properties, known["content"].as_of(at))

    def _product(self, properties: dict[str, Any], known: Known, at: int, currency: Any) -> None:
        if self._products and "products" in known:
            _complete(properties, known["products"].as_of(at))
        if self._prices and properties.get("price") is None and "prices" in known:
            price = known["prices"].as_of(at)
            if price is not None and price["currency"] == currency:
                properties["price"] = price["price"]


def _complete(properties: dict[str, Any], fields: Fields | None) -> None:
    if fields is not None:
        for name, value in fields.items():
            if properties.get(name) is None:
                properties[name] = value


def _total(lines: list[Any], currency: Any) -> float | None:
    """None when a line has no price, or is not what it should be: then there is nothing to say."""
    total = 0.0
    for line in lines:
        if type(line) is not dict or line.get("currency") not in (None, currency):
            return None
        price, quantity = line.get("price"), line.get("quantity", 1)
        if not isinstance(price, int | float) or type(quantity) is not int or not 0 < quantity <= MOST_PIECES:
            return None
        try:
            total += price * quantity
        except OverflowError:
            return None
    return total
