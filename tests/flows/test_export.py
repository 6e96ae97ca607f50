"""`oncue export`: what is written is what customers were, in each form."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from flows import export
from flows.export import BadExport
from flows.past import Row
from operators.playbook import Playbook
from tests.events import at, retail, run, track

NOW = at(5)
MORE = """
  last_weekday: {measure: weekdays, aggregate: last}
  cheapest: {measure: viewed_prices, aggregate: min}
  eager: {expression: views_24h > 2}
  views_30m:"""


def playbook(features: str = MORE) -> Playbook:
    """The retail playbook and more: each aggregate of each unit that there can be."""
    return retail(
        ("measures: #", "measures:\n  weekdays: {on: [Product Viewed], value: weekday} #"),
        ("\n  views_30m:", features),
    )


def rows(book: Playbook) -> list[Row]:
    """Two customers: one who did this and that, and one of whom most features know nothing."""
    products = [{"product_id": "p1", "price": 3, "quantity": 2, "category": "c", "brand": "d"}]
    outcome = run(
        track("Product Viewed", 1, user="a", product_id="p1", price=3.5, category="x", brand="b"),
        track("Products Searched", 2, user="a", query="q"),
        track("Order Completed", 3, user="a", order_id="o", total=5, discount=1, products=products),
        track("Email Opened", 4, user="b"),
        playbook=book,
    )
    return [Row(NOW, customer, customer, found) for customer, found in outcome.features(NOW).items()]


def written(book: Playbook, file: Path) -> list[Row]:
    found = rows(book)
    with export.writer(file, book, list(book.features)) as write:
        write(found)
    return found


def test_every_feature_of_the_retail_playbook_can_be_a_column_of_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet is optional: pip install 'pyarrow>=17'")
    book = playbook()
    features = [row.features for row in written(book, tmp_path / "set.parquet")]
    unknown = {name for name in book.features if all(it[name] is None for it in features)}
    assert unknown == {"since_last_email_click", "time_between_orders", "orders_late", "cart_to_order_30d"}
    table = parquet.read_table(tmp_path / "set.parquet")
    found: list[dict[str, Any]] = table.to_pylist()
    assert [{name: it[name] for name in book.features} for it in found] == features
    assert [round(it["as_of"].timestamp() * 1000) for it in found] == [NOW, NOW]


def test_csv_and_json_lines_hold_the_same(tmp_path: Path) -> None:
    book = playbook()
    features = [row.features for row in written(book, tmp_path / "set.jsonl")]
    lines = [json.loads(line) for line in (tmp_path / "set.jsonl").open()]
    assert [{name: it[name] for name in book.features} for it in lines] == features
    written(book, tmp_path / "set.csv")
    with (tmp_path / "set.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [it["favourite_hour"] for it in table] == ["10", ""]
    assert {it["as_of"] for it in table} == {"2026-03-02T10:05:00+00:00"}


def test_a_feature_that_may_be_anything_is_no_column_of_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="Parquet is optional: pip install 'pyarrow>=17'")
    book = playbook("\n  sought: {expression: last_search}\n  views_30m:")
    with pytest.raises(BadExport, match="but sought may be a text or a number"):
        written(book, tmp_path / "set.parquet")
    assert not list(tmp_path.iterdir())
    written(book, tmp_path / "set.csv")
