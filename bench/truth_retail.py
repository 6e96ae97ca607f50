"""`make truth FILE=online_retail.csv.gz`: every customer's features at 50 moments against a batch.

The whole of UCI Online Retail (see `bench/online_retail.py`) goes through the engine's own core in order
of time. At each moment DuckDB computes the same features from the lines of the file, twice: over windows
whose old edge lies on the pane boundary, as the engine promises, which must be equal; and over exact
windows, which shows what the pane costs. Beyond 64 different values `distinct` is an estimate, which is
measured too. Ends with 1 when something differs that these two do not explain.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from bench.online_retail import Invoice, Shop, book, invoices
from flows.playbooks import retail
from operators.distinct import EXACT
from operators.features import Feature
from operators.panes import LIFETIME
from operators.playbook import Playbook

DAY = 86_400_000
FIVE_STANDARD_ERRORS = 5 * 0.0325
MEASURES = {  # slot -> rows of (customer, happened, value) in `lines`, one per line or one per invoice
    "orders$": "select customer, happened, sum(quantity * price) as value from lines where not refund "
    "group by number, customer, happened",
    "refunds$": "select customer, happened, sum(quantity * price) as value from lines where refund "
    "group by number, customer, happened",
    "order_channels": "select distinct on (number) customer, happened, source as value from lines "
    "where not refund",
    "ordered_products": "select customer, happened, product as value from lines where not refund",
    "ordered_categories": "select customer, happened, left(product, 2) as value from lines where not refund",
    "ordered_prices$": "select customer, happened, price as value from lines where not refund",
    "ordered_quantities#": "select customer, happened, quantity as value from lines where not refund",
}
LINES = """
create table lines as
with read as (
    select *, starts_with(InvoiceNo, 'C') as refund,
        cast(round(cast(UnitPrice as decimal(18, 3)) * 100) as bigint) as price
    from read_csv('{file}', all_varchar = true, header = true)
)
select InvoiceNo as number, cast(cast(cast(CustomerID as double) as bigint) as varchar) as customer,
    min(epoch_ms(cast(InvoiceDate as timestamp))) over (partition by InvoiceNo) as happened, refund,
    StockCode as product, price, if(refund, -1, 1) * cast(Quantity as bigint) as quantity,
    if(Country = 'United Kingdom', 'web', 'app') as source
from read
where CustomerID is not null and price >= 1 and if(refund, -1, 1) * cast(Quantity as bigint) >= 1
"""
SQL = {
    "count": "count(value) filter ({inside})",
    "sum": "coalesce(sum(value) filter ({inside}), 0)",
    "mean": "sum(value) filter ({inside}) / count(value) filter ({inside})",
    "min": "min(value) filter ({inside})",
    "max": "max(value) filter ({inside})",
    "first": "min({{'at': happened, 'value': value}}) filter ({inside})",
    "last": "max({{'at': happened, 'value': value}}) filter ({inside})",
    "time_since": "{now} - max(happened) filter ({inside})",
    "time_since_first": "{now} - min(happened) filter ({inside})",
    "distinct": "count(distinct value) filter ({inside})",
    "top": "histogram(value) filter ({inside})",
}


class Difference(NamedTuple):
    now: int
    customer: str
    feature: str
    engine: Any
    batch: Any


class Error:
    """How far a feature is from that of the exact window."""

    def __init__(self) -> None:
        self.compared = self.differ = 0
        self.total = self.most = 0.0

    def add(self, engine: Any, exact: Any) -> None:
        self.compared += 1
        if engine != exact:
            self.differ += 1
            if isinstance(exact, int | float) and isinstance(engine, int | float):
                wrong = abs(engine - exact) / max(abs(exact), abs(engine))
                self.total += wrong
                self.most = max(self.most, wrong)


def batch(
    database: duckdb.DuckDBPyConnection, features: Iterable[Feature], now: int, on_panes: bool
) -> dict[str, dict[str, Any]]:
    """Feature -> customer -> value."""
    found: dict[str, dict[str, Any]] = {}
    by_slot: dict[str, list[Feature]] = {}
    for feature in features:
        by_slot.setdefault(feature.slot, []).append(feature)
    for slot, its in by_slot.items():
        columns = [SQL[it.aggregate].format(inside=_inside(it, now, on_panes), now=now) for it in its]
        rows = database.execute(
            f"select customer, {', '.join(columns)} from ({MEASURES[slot]}) where happened <= {now} "
            "group by customer"
        ).fetchall()
        for place, feature in enumerate(its, 1):
            found[feature.name] = {row[0]: _plain(feature, row[place]) for row in rows}
    return found


def _inside(feature: Feature, now: int, on_panes: bool) -> str:
    if feature.width == LIFETIME:
        return "where true"
    edge = now - feature.window
    if on_panes:
        edge = -(-edge // feature.width) * feature.width
    return f"where happened >= {edge}"


def _plain(feature: Feature, value: Any) -> Any:
    if value is None:
        return None
    if feature.aggregate in ("first", "last"):
        return value["value"]
    if feature.aggregate == "top":
        return min(value, key=lambda one: (-value[one], one)) if value else None
    return value


def compare(file: Path, shop: Playbook, moments: list[int], all_invoices: list[Invoice]) -> bool:
    """Prints the table; whether everything is explained."""
    features = [it for it in shop.features.values() if isinstance(it, Feature) and it.slot in MEASURES]
    database = duckdb.connect()
    database.execute(LINES.format(file=file))
    engine = Shop(shop)
    errors = {feature.name: Error() for feature in features}
    estimates = Error()
    unexplained: list[Difference] = []
    compared = start = 0
    for now in moments:
        end = start
        while end < len(all_invoices) and all_invoices[end].at <= now:
            end += 1
        engine.add(all_invoices[start:end])
        start = end
        panes = batch(database, features, now, on_panes=True)
        exact = batch(database, features, now, on_panes=False)
        for customer, values in engine.features([feature.name for feature in features], now):
            for feature in features:
                nothing = 0 if feature.aggregate in ("count", "sum", "distinct") else None
                got = values[feature.name]
                wanted = panes[feature.name].get(customer, nothing)
                compared += 1
                errors[feature.name].add(got, exact[feature.name].get(customer, nothing))
                if feature.aggregate == "distinct" and wanted > EXACT:
                    estimates.add(got, wanted)
                    if abs(got - wanted) <= FIVE_STANDARD_ERRORS * wanted:
                        continue
                if got != wanted:
                    unexplained.append(Difference(now, customer, feature.name, got, wanted))
        print(f"\r{len(engine.customers)} customers", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(f"{start} invoices, {len(engine.customers)} customers, {len(moments)} moments")
    print(f"{compared} values compared with windows on pane boundaries, {len(unexplained)} differ")
    for it in unexplained[:20]:
        print(f"  {it.feature} of {it.customer} at {it.now}: {it.engine} for {it.batch}")
    print(
        f"{estimates.compared} of them estimates of more than {EXACT} different values: relative error "
        f"mean {estimates.total / max(1, estimates.compared):.4f}, most {estimates.most:.4f}"
    )
    print("\nbeside exact windows      differ       of   share  mean error  most")
    for feature in features:
        error = errors[feature.name]
        if feature.window:
            print(
                f"{feature.name:<24}{error.differ:>8}{error.compared:>9}{error.differ / error.compared:>8.4f}"
                f"{error.total / error.compared:>12.5f}{error.most:>6.2f}"
            )
    return not unexplained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--moments", type=int, default=50)
    asked = parser.parse_args()
    found = invoices(asked.file)
    dice = random.Random(7)
    first, last = found[0].at, found[-1].at
    moments = [dice.randrange(first, last + 30 * DAY) for _ in range(asked.moments)]
    moments[::5] = [moment // DAY * DAY for moment in moments[::5]]  # some at midnight
    sys.exit(0 if compare(asked.file, book(retail()), sorted(moments), found) else 1)


if __name__ == "__main__":
    main()
