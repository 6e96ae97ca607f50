"""Reference data as it was at any moment: versions of products, prices, stock, stores and content.

A version holds from its effective time until the next one's; a tombstone is a version that says there is
nothing. What is kept of an id does not depend on the order in which its versions came: the newest
MOST_VERSIONS, and of those no more than are needed to answer for the last KEPT ms before its newest record.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from operators.headers import BadHeader, milliseconds
from schemas.reference import RECORDS

KEPT = 400 * 86_400_000
MOST_VERSIONS = 100

Fields = dict[str, Any]
# (effective from, ms of event time; partition; offset; what an event is filled with, None: a tombstone)
Version = tuple[int, int, int, Fields | None]


class History(msgspec.Struct, array_like=True, gc=False):
    """The versions of one kind of one id, oldest first. `newest`: when its newest record came in the
    scope's order."""

    newest: int = -1
    versions: list[Version] = []

    def as_of(self, at: int) -> Fields | None:
        versions = self.versions
        if versions[-1][0] <= at:  # nearly always
            return versions[-1][3]
        found = bisect_right(versions, at, key=_effective)
        return versions[found - 1][3] if found else None


Known = dict[str, History]  # kind -> its versions; one for all that is known of a product
PRODUCT: Final = "p:"
STORE: Final = "s:"
CONTENT: Final = "c:"
_PREFIX = {"products": PRODUCT, "prices": PRODUCT, "stock": PRODUCT, "stores": STORE, "content": CONTENT}


def key_of(kind: str, id: str) -> str:
    """The key of a `Table` under which an id of this kind is kept."""
    return _PREFIX[kind] + id


class Table(Protocol):
    """A dict in tests, RocksDB behind a cache in a worker. Keys are PRODUCT, STORE or CONTENT and an id."""

    def get(self, key: str, /) -> Known | None: ...
    def __setitem__(self, key: str, known: Known, /) -> None: ...


class Reference:
    """What one shard knows; every shard knows the same.

    >>> known = Reference({})
    >>> known.put("prices", "p1", 1000, {"price": 9.5}, came=1000, partition=0, offset=0)
    >>> known.put("prices", "p1", 2000, {"price": 8.0}, came=2000, partition=0, offset=1)
    >>> known.as_of("prices", "p1", 999), known.as_of("prices", "p1", 1999), known.as_of("prices", "p1", 2000)
    (None, {'price': 9.5}, {'price': 8.0})
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self.get = table.get

    def put(
        self, kind: str, id: str, at: int, fields: Fields | None, came: int, partition: int, offset: int
    ) -> None:
        """From `at` (ms) on it is so. Of two records for the same moment the one behind in its partition
        counts. `came`: the record's own place in event time, not later than its arrival."""
        key = _PREFIX[kind] + id
        known = self.get(key) or {}
        history = known.get(kind)
        if history is None:
            history = known[kind] = History(versions=[])
        versions, place = history.versions, (at, partition, offset)
        if not versions or versions[-1][:3] < place:
            versions.append((*place, fields))
        else:
            index = bisect_right(versions, place, key=_place)
            if index and versions[index - 1][:3] == place:
                return  # the same record once more
            versions.insert(index, (*place, fields))
        history.newest = max(history.newest, came)
        # A version is needed as long as the one that follows it is within what is kept.
        oldest = history.newest - KEPT
        if len(versions) > MOST_VERSIONS or (len(versions) > 1 and versions[1][0] <= oldest):
            old = bisect_right(versions, oldest, key=_effective) - 1
            del versions[: max(old, len(versions) - MOST_VERSIONS)]
        self._table[key] = known

    def as_of(self, kind: str, id: str, at: int) -> Fields | None:
        """What was so at `at` (ms); None when nothing is known, or nothing was."""
        known = self.get(_PREFIX[kind] + id)
        history = known.get(kind) if known else None
        return history.as_of(at) if history is not None else None


def _effective(version: Version) -> int:
    return version[0]


def _place(version: Version) -> tuple[int, int, int]:
    return version[:3]


class Told(NamedTuple):
    """What a record of a reference topic says. `came`: its place in event time, not later than its
    arrival; `at`: when it takes effect. In ms."""

    came: int
    kind: str
    id: str
    at: int
    fields: Fields | None


class _Kind(NamedTuple):
    decode: Callable[[bytes], Any]
    id: Callable[[Any], str]
    fields: Callable[[Any], Fields]


def read(kind: str, raw: bytes | None, key: bytes | None, arrived: int) -> Told:
    """A record of the topic of `kind`. `arrived` is the broker's timestamp in ms.

    What will be so from a later moment on still comes now. A tombstone (no value) has its id as the record
    key and ends what was so when it arrived. Raises BadHeader.
    """
    if raw is None:
        id = (key or b"").decode(errors="replace")
        if not id:
            raise BadHeader("no-key", f"a tombstone of {kind} needs the id as its record key")
        return Told(arrived, kind, id, arrived, None)
    this = _KINDS[kind]
    try:
        record = this.decode(raw)
    except msgspec.ValidationError as error:
        raise BadHeader("wrong-type", f"{kind}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadHeader("not-json", str(error)) from None
    except RecursionError:
        raise BadHeader("not-json", "nested too deeply") from None
    at = arrived if record.timestamp is None else milliseconds(record.timestamp)
    return Told(max(0, min(at, arrived)), kind, this.id(record), max(0, at), this.fields(record))


def stock_id(product: str, store: str | None) -> str:
    """The id of a product's stock in a store, or without one in the online shop."""
    return product if store is None else f"{product}/{store}"


def _given(**fields: Any) -> Fields:
    return {name: value for name, value in fields.items() if value is not None}


_READERS: dict[str, tuple[Callable[[Any], str], Callable[[Any], Fields]]] = {
    "products": (
        lambda it: it.product_id,
        lambda it: _given(name=it.name, category=it.category, brand=it.brand),
    ),
    "prices": (lambda it: it.product_id, lambda it: {"price": it.price, "currency": it.currency}),
    "stock": (
        lambda it: stock_id(it.product_id, it.store_id),
        lambda it: {"in_stock": it.quantity > 0, "stock_quantity": it.quantity},
    ),
    "stores": (
        lambda it: it.store_id,
        lambda it: _given(store_name=it.name, store_country=it.country, store_city=it.city),
    ),
    "content": (
        lambda it: it.content_id,
        lambda it: _given(content_title=it.title, content_kind=it.kind),
    ),
}
_KINDS = {
    kind: _Kind(msgspec.json.Decoder(record).decode, *_READERS[kind]) for kind, record in RECORDS.items()
}
