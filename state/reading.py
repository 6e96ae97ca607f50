"""Reading state from outside, also while workers run: the newest checkpoint, copied by links."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rocksdict import AccessType, Options, Rdict

from state.errors import StateError
from state.store import between, borrow, checkpoints

TRIES = 5


@contextmanager
def newest(folder: Path) -> Iterator[Rdict | None]:
    """The newest checkpoint of a step, read-only; None when there is none yet. Raises StateError."""
    with tempfile.TemporaryDirectory(prefix=".reading-", dir=folder.parent) as copy:
        path = _copy(folder, Path(copy) / "db")
        if path is None:
            yield None
            return
        try:
            database = Rdict(str(path), Options(raw_mode=True), access_type=AccessType.read_only())
        except Exception as error:
            raise StateError(f"cannot read the newest checkpoint in {folder}: {error}") from None
        try:
            yield database
        finally:
            database.close()


class Table:
    """A database that `newest` gave, as a table of bytes in the order of its keys."""

    def __init__(self, database: Rdict) -> None:
        self._database = database

    def get(self, key: bytes, /) -> bytes | None:
        value: bytes | None = self._database.get(key)
        return value

    def scan(self, low: bytes, high: bytes, /) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values with low <= key < high. Raises StateError when they cannot be read."""
        path = self._database.path()
        return between(self._database, low, high, lambda error: StateError(f"cannot read {path}: {error}"))


def _copy(folder: Path, to: Path) -> Path | None:
    """Workers delete old checkpoints at any moment; then there is a newer one."""
    for _ in range(TRIES):
        found = checkpoints(folder)
        if not found:
            return None
        try:
            borrow(found[-1][2], to)
            return to
        except FileNotFoundError:
            continue
    raise StateError(f"the checkpoints in {folder} change too fast to be read; try again")
