"""The demo's bundled input: 17,434 real events of a shop and a generated overlay, see ATTRIBUTION.md."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from importlib import resources

import orjson

FILE = "shoppers.jsonl.gz"


def records() -> Iterator[tuple[str, bytes, bool]]:
    """Topic, raw value and "is it generated" of every bundled record, in the order of arrival.

    >>> topic, value, generated = next(records())
    >>> topic, type(value).__name__
    ('web', 'bytes')
    """
    with resources.files(__name__).joinpath(FILE).open("rb") as packed, gzip.open(packed) as lines:
        for line in lines:
            yield parse(line)


def parse(line: bytes) -> tuple[str, bytes, bool]:
    """One line of the bundled file. A value that is a string is a deliberately broken record.

    >>> parse(b'{"topic":"web","value":"no JSON"}')
    ('web', b'no JSON', True)
    """
    record = orjson.loads(line)
    value = record["value"]
    if isinstance(value, str):
        return record["topic"], value.encode(), True
    return record["topic"], orjson.dumps(value), bool(value["context"].get("generated", False))
