"""One RocksDB database of a step, and its checkpoints named by the cut they include.

A checkpoint is a set of hard links (RocksDB's files never change once written), so a Bytewax snapshot
of a shard is just the number of a cut. A store opens on its first cut: it takes the newest checkpoint
whose cut is before that, deletes everything newer, and continues from there. So it does not matter
which snapshot row Bytewax restored, only which cut comes first.

The database is written without a write-ahead log: what is not in a checkpoint is repeated from Kafka.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rocksdict import (
    BlockBasedOptions,
    Cache,
    Checkpoint,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from state import migrations
from state.errors import MEND, StateError, unusable

# A checkpoint's own name, its last write: RocksDB takes a MANIFEST that was cut short for a shorter history.
NAME = b"!checkpoint"

# Until the next snapshot Bytewax may come back to the last but one; the one before that is for repair.
KEPT = 3
_DOOMED = "gone-"

_block_cache = Cache(256 * 1024 * 1024)  # shared by all stores of the process


class Store:
    """The live database of one step.

    Parameters
    ----------
    folder
        `state/<scope>/<step>`; holds `live` and `ckpt-<cut>-<run>`.
    first
        The first cut that will be applied.
    token
        The cut of the snapshot that Bytewax restored, None when there was none.
    compressed
        Whether what is kept is much and seldom read.
    begins
        Whether a scope that is older than the step may begin it at `first`.

    Raises StateError when no checkpoint precedes `first`, or the one to open is missing or damaged.
    """

    def __init__(
        self, folder: Path, first: int, token: int | None, compressed: bool = False, begins: bool = False
    ) -> None:
        self.folder = folder
        self.saved = _choose(folder, first, token, begins)
        _make(folder)
        found = [path for _, _, path in checkpoints(folder)]
        self._named = found[: found.index(self.saved) + 1][-KEPT:] if self.saved is not None else []
        for path in sorted(folder.iterdir()):
            if path not in self._named:
                discard(path)
        live = folder / "live"
        try:
            if self.saved is not None:
                _link(self.saved, live)
            self._db = Rdict(str(live), options(self.saved is None, compressed))
        except Exception as error:
            raise unusable(f"cannot open the state in {self._origin}", error) from None
        if self.saved is not None and self.get(NAME) != self.saved.name.encode():
            raise StateError(f"the state in {self.saved} is not whole, its MANIFEST was cut short. {MEND}")
        self._writing = WriteOptions()
        # A property, whatever the stub says.
        setattr(self._writing, "disable_wal", True)  # noqa: B010
        migrations.bring_up(self, self._origin, new=self.saved is None)

    def get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._db.get(key)
            return value
        except Exception as error:
            raise self._unreadable(error) from None

    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Put, or with None delete, all or nothing."""
        batch = WriteBatch(raw_mode=True)
        for key, value in changes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        try:
            self._db.write(batch, self._writing)
        except Exception as error:
            raise self._unwritable(error) from None

    def flush(self) -> None:
        """Bring what was written into table files, so that the next checkpoint finds little to do."""
        try:
            self._db.flush(wait=True)
        except Exception as error:
            raise self._unwritable(error) from None

    def compact(self) -> None:
        """Bring everything into its last place and form, which else happens in time."""
        try:
            self._db.compact_range(None, None)
        except Exception as error:
            raise self._unwritable(error) from None

    def scan(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values with low <= key < high, in order."""
        return between(self._db, low, high, self._unreadable)

    def checkpoint(self, cut: int, run: int) -> None:
        """Keep the state as of `cut`, and the two checkpoints before it."""
        path = self.folder / f"ckpt-{cut:012d}-{run:012d}"
        self.write([(NAME, path.name.encode())])
        try:
            Checkpoint(self._db).create_checkpoint(str(path))
        except Exception as error:
            raise self._unwritable(error) from None
        self._named = [*self._named, path][-KEPT:]
        for old in sorted(self.folder.iterdir()):  # oldest first, so that what is left has no holes
            if old not in self._named and old.name != "live":
                discard(old)

    def close(self) -> None:
        self._db.close()

    @property
    def _origin(self) -> Path:
        """What the live database was made from; that is what is damaged if it is."""
        return self.folder if self.saved is None else self.saved

    def _unreadable(self, error: Exception) -> StateError:
        return unusable(f"cannot read the state in {self._origin}", error)

    def _unwritable(self, error: Exception) -> StateError:
        return unusable(f"cannot write the state in {self.folder}", error)


def between(
    database: Rdict, low: bytes, high: bytes, unreadable: Callable[[Exception], StateError]
) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values with low <= key < high, in order. Raises what `unreadable` makes of an error."""
    reading = ReadOptions()
    reading.set_iterate_upper_bound(high)
    found = database.iter(reading)
    found.seek(low)
    while found.valid():
        yield found.key(), found.value()
        found.next()
    try:
        found.status()  # without asking, damage would look like the end; `items` does not ask
    except Exception as error:
        raise unreadable(error) from None


def checkpoints(folder: Path) -> list[tuple[int, int, Path]]:
    """(cut, run, path) of all checkpoints, oldest first."""
    found = []
    for path in folder.glob("ckpt-*-*"):
        _, cut, run = path.name.split("-")
        if cut.isdigit() and run.isdigit():
            found.append((int(cut), int(run), path))
    return sorted(found)


def discard(path: Path) -> None:
    """Delete a checkpoint, for others all at once: who copies one sees it whole, or sees that it is gone."""
    doomed = path.with_name(_DOOMED + path.name.removeprefix(_DOOMED))
    try:
        path.rename(doomed)
    except OSError:
        doomed = path
    shutil.rmtree(doomed, ignore_errors=True)


def borrow(checkpoint: Path, to: Path) -> None:
    """Link a checkpoint to where nobody deletes it. Raises FileNotFoundError when it went meanwhile."""
    try:
        shutil.copytree(checkpoint, to, copy_function=os.link)
        os.stat(checkpoint)  # still under its name: then nothing of it was missing either
    except (FileNotFoundError, shutil.Error):
        shutil.rmtree(to, ignore_errors=True)
        raise FileNotFoundError(f"{checkpoint} was deleted") from None


def _choose(folder: Path, first: int, token: int | None, begins: bool) -> Path | None:
    usable = [(cut, run, path) for cut, run, path in checkpoints(folder) if cut < first]
    newest = usable[-1][0] if usable else 0
    if token is not None and token < first and newest < token:
        raise StateError(
            f"the checkpoint of cut {token} is missing in {folder} (found {newest or 'none'}). {MEND}"
        )
    if not usable and first > 1 and not begins:
        raise StateError(f"no checkpoint before cut {first} in {folder}. {MEND}")
    return usable[-1][2] if usable else None


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(f"cannot make the state directory {folder}", error) from None


def _link(checkpoint: Path, live: Path) -> None:
    """A working copy: table files are linked, the small files that RocksDB appends to are copied."""
    live.mkdir()
    for file in checkpoint.iterdir():
        if file.suffix == ".sst":
            os.link(file, live / file.name)
        else:
            shutil.copy2(file, live / file.name)


def options(new: bool, compressed: bool = False) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(new)  # a checkpoint without its CURRENT file must not become an empty database
    # What only grows goes to table files as it comes; else the next checkpoint, which stops all, had to wait.
    options.set_write_buffer_size((8 if compressed else 32) * 1024 * 1024)
    options.set_max_open_files(512)
    options.set_compression_type(DBCompressionType.lz4() if compressed else DBCompressionType.none())
    if compressed:
        options.set_bottommost_compression_type(DBCompressionType.zstd())
    options.set_level_zero_file_num_compaction_trigger(8)
    options.set_keep_log_file_num(1)
    table = BlockBasedOptions()
    table.set_block_cache(_block_cache)
    if compressed:
        table.set_block_size(16 * 1024)  # what lies side by side is alike: more at once, and it gets smaller
    table.set_bloom_filter(10, False)
    table.set_cache_index_and_filter_blocks(True)
    options.set_block_based_table_factory(table)
    return options
