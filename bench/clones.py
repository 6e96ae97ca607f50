"""A state with many customers, made in seconds: those of a stopped scope again and again, under other names.

Clones are known by no identifier that events name, so they only make the state as large as it would be.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from state.store import NAME, Store, checkpoints
from state.verify import steps

BATCH = 20_000
Row = tuple[bytes, bytes | None]


def clone(root: Path, times: int) -> None:
    """To every customer and identifier `times` more; the newest checkpoints are replaced."""
    for step in steps(root):
        cut, run, _ = checkpoints(root / step)[-1]
        store = Store(root / step, cut + 1, None)
        rows = [(key, value) for key, value in store.scan(b"", b"\xff") if key[:1] != b"!" and key != NAME]
        batch: list[Row] = []
        for row in _clones(rows, times):
            batch.append(row)
            if len(batch) == BATCH:
                store.write(batch)
                batch = []
        store.write(batch)
        store.flush()
        store.compact()
        store.checkpoint(cut, run + 1)
        store.close()


def _clones(rows: list[tuple[bytes, bytes]], times: int) -> Iterator[Row]:
    for number in range(times):
        mark = b"~%06d" % number
        for key, value in rows:
            if key[:1] != b"v":  # reference data is nobody's
                yield key + mark, value
