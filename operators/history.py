"""What happened, kept event by event under its leaf: the identifier that an event is attributed to.

A merge gives a leaf another customer but moves nothing here: a customer's history is that of the leaves
they have. What is kept is what came, repetitions included; who reads it leaves those out again.

A leaf's events lie one behind the other in the order of their time, so that those of a period are found
without reading the others. The order in which they were worked off, which `recorded` restores, is that of
their cuts, and within a cut that of the sequencer: time, topic, partition, offset.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol
from zlib import crc32

from operators.operations import EVENT, REFERENCE, Operation, Pack

Change = tuple[bytes, bytes | None]  # key and value to put; without a value, to delete

_LENGTH = struct.Struct(">H")
_PLACE = struct.Struct(">QQI")  # event time, cut, number within the shard's pack
_ABOUT = struct.Struct(">qqQqB")  # time - before, watermark - before, offset, arrived - time, length of place
EVENTS, BEHIND_EVENTS = b"e", b"f"
NEVER = (1 << 63) - 1


class Table(Protocol):
    """A store of bytes in the order of its keys."""

    def get(self, key: bytes, /) -> bytes | None: ...
    def scan(self, low: bytes, high: bytes, /) -> Iterator[tuple[bytes, bytes]]: ...


class Happened(NamedTuple):
    """An event as it was worked off: in the cut `cut`, which took the watermark from `before` to
    `watermark`. `at`, `before`, `watermark` and `arrived` (the broker's) in ms."""

    cut: int
    at: int
    topic: str
    partition: int
    offset: int
    leaf: str
    before: int
    watermark: int
    arrived: int
    raw: bytes

    @property
    def place(self) -> str:
        return f"{self.topic}/{self.partition}"


def shard_of(leaf: str, shards: int) -> int:
    """The shard that keeps a leaf."""
    return crc32(leaf.encode()) % shards


def by_leaf(packs: list[Pack]) -> list[Pack]:
    """The events of a cut, from one pack per customer shard to one per shard of leaves. What reference data
    says goes to all."""
    shards = len(packs)
    mine: list[list[Operation]] = [[] for _ in packs]
    for pack in packs:
        for op in pack.operations:
            if op[0] == EVENT:
                mine[crc32(op[6].encode()) % shards].append(op)
            elif op[0] == REFERENCE and pack.shard == 0:
                for operations in mine:
                    operations.append(op)
    one = packs[0]
    return [
        Pack(shard, one.number, one.watermark, one.before, one.run, one.arrived, one.last, operations)
        for shard, operations in enumerate(mine)
    ]


def appended(pack: Pack) -> list[Change]:
    """What a cut adds to a shard of leaves."""
    number, before = pack.number, pack.before
    ahead = pack.watermark - before
    found: list[Change] = []
    for count, op in enumerate(pack.operations):
        if op[0] != EVENT:
            continue
        _, _, at, place, offset, arrived, leaf, raw = op
        name, where = leaf.encode(), place.encode()
        found.append(
            (
                EVENTS + _LENGTH.pack(len(name)) + name + _PLACE.pack(at, number, count),
                _ABOUT.pack(at - before, ahead, offset, arrived - at, len(where)) + where + raw,
            )
        )
    return found


def leaf_key(leaf: str, at: int = 0) -> bytes:
    """Where the events of a leaf that are of `at` (ms) or later begin."""
    name = leaf.encode()
    return EVENTS + _LENGTH.pack(len(name)) + name + _PLACE.pack(at, 0, 0)


def behind(leaf: str) -> bytes:
    """A key behind all events of a leaf and before those of the next."""
    return leaf_key(leaf, NEVER)


def leaf_and_time(key: bytes) -> tuple[str, int]:
    """Of an event's key."""
    end = 3 + _LENGTH.unpack_from(key, 1)[0]
    return key[3:end].decode(), _PLACE.unpack_from(key, end)[0]


def read(key: bytes, value: bytes) -> Happened:
    end = 3 + _LENGTH.unpack_from(key, 1)[0]
    at, cut, _ = _PLACE.unpack_from(key, end)
    since, ahead, offset, later, length = _ABOUT.unpack_from(value)
    body = _ABOUT.size + length
    topic, _, partition = value[_ABOUT.size : body].decode().rpartition("/")
    before = at - since
    return Happened(
        cut, at, topic, int(partition), offset, key[3:end].decode(), before, before + ahead, at + later,
        value[body:],
    )  # fmt: skip


def events(table: Table, leaf: str, since: int = 0, until: int = NEVER - 1) -> Iterator[Happened]:
    """The events of a leaf with since <= time <= until, by time."""
    for key, value in table.scan(leaf_key(leaf, since), leaf_key(leaf, until + 1)):
        yield read(key, value)


def recorded(found: Iterable[Happened]) -> list[Happened]:
    """In the order in which they were worked off."""
    return sorted(found, key=lambda it: it[:5])
