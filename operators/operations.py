"""What resolve tells the shards: per cut and shard one pack of operations."""

from __future__ import annotations

from typing import Any, Final

import msgspec

# The first item of an operation, a tuple. Those up to FILL are about the customer that is its second item.
EVENT: Final = 0
RETIRE: Final = 1
EXPECT: Final = 2
MOVED: Final = 3
FILL: Final = 4
BAD: Final = 5
PASS: Final = 6
TALLY: Final = 7
REFERENCE: Final = 8
MODEL: Final = 9
FILLED: Final = 10
Operation = tuple[Any, ...]

LEDGER_EVERY = 256  # cuts
FILL_COMMAND = "fill"  # the key on `control` of what history says of new features


class Pack(msgspec.Struct, array_like=True, gc=False):
    """One cut's operations for one shard. `arrived`: broker time (ms) of the cut's newest record. `traces`:
    which of the operations are on events that are followed, by their place in the list, and with which
    traceparent."""

    shard: int
    number: int
    watermark: int
    before: int
    run: int
    arrived: int
    last: bool
    operations: list[Operation]
    traces: dict[int, str] | None = None


class MoveBody(msgspec.Struct, array_like=True, gc=False):
    """A record under way: move `number` from `loser` to `winner`."""

    number: int
    loser: str
    winner: str
    record: bytes


class Filled(msgspec.Struct, array_like=True, gc=False):
    """What the leaves of a history shard add to the slots of a generation: leaf and encoded Measured. `over`:
    the shard is through."""

    generation: int
    shard: int
    over: bool
    shares: list[tuple[str, bytes]]
