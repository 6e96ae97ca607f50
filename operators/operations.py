"""What resolve tells the shards: per cut and shard one pack of operations."""

from __future__ import annotations

from typing import Any

import msgspec

# The first item of an operation, a tuple. Those up to MOVED are about the customer that is its second item.
EVENT, RETIRE, EXPECT, MOVED, BAD, PASS, TALLY, REFERENCE, MODEL = range(9)
Operation = tuple[Any, ...]

LEDGER_EVERY = 256  # cuts


class Pack(msgspec.Struct, array_like=True, gc=False):
    """One cut's operations for one shard. `arrived`: broker time (ms) of the cut's newest record. `traces`
    as in a batch, of this pack's events."""

    shard: int
    number: int
    watermark: int
    before: int
    run: int
    arrived: int
    last: bool
    operations: list[Operation]
    traces: dict[str, str] | None = None


class MoveBody(msgspec.Struct, array_like=True, gc=False):
    """A record under way: move `number` from `loser` to `winner`."""

    number: int
    loser: str
    winner: str
    record: bytes
