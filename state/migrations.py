"""Formats of kept state, and how state of an earlier one is brought up to this program's.

Each database says its format; it is brought up on the working copy when a store opens, so the checkpoints
stay as they were written until new ones take their place: whatever goes wrong in between harms nothing.
Records of customers have a version of their own and are brought up one by one when they are read, see
operators/migrations.py. A change of either is a new FORMAT, which earlier programs refuse.

Fields that are added at the end of a msgpack struct, with a default, are no change of the format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from state.errors import REBUILD, StateError

FORMAT = 1
KEY = b"!format"


class Database(Protocol):
    """The working copy of a step's store."""

    def get(self, key: bytes) -> bytes | None: ...
    def scan(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]: ...
    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None: ...


# From each format to the next: changes all of a database, of any step; nobody else uses it meanwhile.
UPGRADES: Mapping[int, Callable[[Database], None]] = {}


def check(found: Any, where: object) -> int:
    """The format, when this program can read it. Raises StateError."""
    if not isinstance(found, int) or found < 1:
        raise StateError(f"{where} does not say of which format it is. {REBUILD}")
    if found > FORMAT:
        raise StateError(
            f"{where} is of format {found}, made by a newer oncue; this one reads formats up to {FORMAT}. "
            "Run the newer oncue, or bring back a backup from before (oncue restore). Nothing was changed"
        )
    return found


def bring_up(database: Database, where: object, new: bool) -> None:
    """To the present format, and say so in it. Raises StateError for a format from the future."""
    said = database.get(KEY)
    found = FORMAT if new else check(int(said) if said else 1, where)
    for step in range(found, FORMAT):
        UPGRADES[step](database)
    if said is None or found != FORMAT:
        database.write([(KEY, b"%d" % FORMAT)])
