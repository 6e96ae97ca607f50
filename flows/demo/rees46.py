"""From the REES46 CSV to the inbound contract, one JSON object per line.

The data set ("eCommerce behavior data from multi category store") has the columns

    event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session

and becomes, row by row:

    view      -> track "Product Viewed"
    cart      -> track "Product Added", `cart_id` = user_session
    purchase  -> track "Order Completed", `cart_id` = user_session, one line, total = price

- The data set's `user_id` is a permanent, browser-like id and there are no logins, so it becomes the
  `anonymousId` and there is no `userId`.
- A cart belongs to a session, so a purchase closes the cart of its session. Each row is an order of its
  own: the data set does not say which rows were paid together.
- The data set does not name its currency. "USD" is an assumption.
- Category and brand are absent when the column is empty.
- `messageId` and `order_id` are hashes of the row and its line number: converting twice gives the same
  ids, and equal rows (a page loaded twice within a second) remain two events.

    python -m flows.demo.rees46 2019-Oct.csv.gz > events.jsonl
"""

from __future__ import annotations

import csv
import hashlib
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

CURRENCY = "USD"
COLUMNS = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
NAMES = {"view": "Product Viewed", "cart": "Product Added", "purchase": "Order Completed"}


def whole_lines(path: Path) -> list[str]:
    """The file's complete lines. A truncated gzip tail and a cut-off last line are dropped."""
    text = zlib.decompressobj(wbits=31).decompress(path.read_bytes()).decode("utf-8", errors="ignore")
    return text.split("\n")[:-1]


def events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The events of a CSV, its header line included.

    >>> row = "2019-10-01 00:00:00 UTC,view,7,1,,,9.50,42,s"
    >>> [(e["anonymousId"], e["event"], e["properties"]) for e in events([COLUMNS, row])]
    [('rees46-42', 'Product Viewed', {'product_id': '7', 'price': 9.5, 'currency': 'USD'})]
    """
    rows = iter(lines)
    header = next(rows, "").strip()
    if header != COLUMNS:
        raise ValueError(f"not the REES46 columns: {header!r}")
    for number, line in enumerate(rows, start=2):
        yield event(line.rstrip("\r\n"), number)


def event(line: str, number: int) -> dict[str, Any]:
    """One row as one event; `number` is its line number in the file."""
    fields = next(csv.reader([line]))
    if len(fields) != 9 or fields[1] not in NAMES:
        raise ValueError(f"line {number} is not a REES46 row: {line!r}")
    time, kind, product_id, _, category, brand, price, user_id, session = fields
    digest = hashlib.blake2b(f"{number}:{line}".encode(), digest_size=8).hexdigest()

    product: dict[str, Any] = {"product_id": product_id, "price": float(price)}
    if category:
        product["category"] = category
    if brand:
        product["brand"] = brand

    properties: dict[str, Any]
    if kind == "view":
        properties = product | {"currency": CURRENCY}
    elif kind == "cart":
        properties = {"cart_id": session} | product | {"quantity": 1, "currency": CURRENCY}
    else:
        properties = {
            "order_id": f"rees46-order-{digest}",
            "cart_id": session,
            "total": float(price),
            "currency": CURRENCY,
            "products": [product | {"quantity": 1}],
        }
    return {
        "type": "track",
        "messageId": f"rees46-{digest}",
        "timestamp": time.removesuffix(" UTC").replace(" ", "T") + "Z",
        "anonymousId": f"rees46-{user_id}",
        "event": NAMES[kind],
        "properties": properties,
        "context": {"sessionId": session, "library": {"name": "rees46"}},
    }


def main() -> None:
    for each in events(whole_lines(Path(sys.argv[1]))):
        sys.stdout.buffer.write(orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
