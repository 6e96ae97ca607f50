"""Looking for damage in a state directory, and going back behind it.

Every checkpoint is read from its first to its last key, so that RocksDB compares the checksum of every
block. Repair deletes what is damaged and starts the scope from the newest position for which every step
has a whole checkpoint; what came after is repeated from `order` and the inputs.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from rocksdict import AccessType, Rdict

from state import points
from state.errors import StateError, unusable
from state.store import NAME, borrow, checkpoints, discard, options

_QUIET = 10_000  # keys between two reports of progress


class Checked(NamedTuple):
    """One checkpoint, or one file of Bytewax's recovery store (`cut` is -1); `problem` None: whole."""

    step: str
    path: Path
    cut: int
    keys: int
    bytes: int
    problem: str | None


class Repaired(NamedTuple):
    """What a repair did: `cut` is where the scope goes on from, `before` the newest it had reached."""

    removed: list[Path]
    cut: int
    before: int


def steps(root: Path) -> list[str]:
    """The names of a scope's steps that keep state. Raises StateError."""
    about = root / "oncue.json"
    try:
        shards = json.loads(about.read_text())["shards"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unusable(
            f"cannot read {about}", error if isinstance(error, OSError) else ValueError(error)
        ) from None
    history = [path.name for path in history_folders(root)]
    return ["resolve", *(f"shard-{shard:02d}" for shard in range(shards)), *history]


def history_folders(root: Path) -> list[Path]:
    """Where a scope keeps what happened, if it does."""
    return sorted(path for path in root.glob("history-*") if path.name[8:].isdigit())


def in_force(root: Path, step: str, cut: int) -> Path | None:
    """The checkpoint that a step starts from when it goes on behind `cut`."""
    found = [path for at, _, path in checkpoints(root / step) if at <= cut]
    return found[-1] if found else None


def verify(root: Path, progress: Callable[[str, int], None] = lambda step, keys: None) -> Iterator[Checked]:
    """Check everything in a scope's folder; workers may be running. `progress` gets step and keys read."""
    for part in sorted((root / "recovery").glob("*.sqlite3")):
        yield Checked("recovery", part, -1, 0, part.stat().st_size, _check_sqlite(part))
    for step in steps(root):
        for cut, _, path in checkpoints(root / step):
            found = _check(step, path, cut, progress)
            if found is not None:
                yield found


def repair(root: Path, found: list[Checked], prepare: Callable[[Path], None]) -> Repaired:
    """Delete what `found` says is damaged and go back to where everything is whole; nobody else may be
    using the state. `prepare` fills an empty recovery folder.

    Raises StateError when there is no such point; then nothing has been changed.
    """
    damaged = {it.path for it in found if it.problem is not None}
    known = points.read(root / "points", points.SEQUENCE)
    before = max([it.cut for it in found] + [cut for cut, _ in known], default=0)
    whole = [it for it in reversed(known) if _is_whole(root, it[0], damaged)]
    if not whole:
        raise StateError(
            f"{root} cannot be repaired from what it holds: no point is left at which every step has a whole "
            f"checkpoint. Move {root} away, then either bring the newest backup back (oncue restore URL "
            f"--state {root.parent}) or start oncue again, which repeats all {before} cuts from the order "
            "topic and the input topics, as far back as their retention reaches. Nothing is sent twice"
        )
    position = whole[0]
    for path in damaged:
        if path.is_dir():
            discard(path)
    points.write(root / "points", points.SEQUENCE, [position])
    shutil.rmtree(root / "recovery", ignore_errors=True)
    (root / "recovery").mkdir()
    prepare(root / "recovery")
    return Repaired(sorted(damaged), position[0], before)


def _is_whole(root: Path, cut: int, damaged: set[Path]) -> bool:
    used = [in_force(root, step, cut) for step in steps(root)]
    return all(path is not None and path not in damaged for path in used)


def _check(step: str, path: Path, cut: int, progress: Callable[[str, int], None]) -> Checked | None:
    """None when workers deleted it meanwhile: a newer one has taken its place."""
    with tempfile.TemporaryDirectory(prefix=".verify-", dir=path.parent.parent) as folder:
        copy = Path(folder) / "db"
        try:
            borrow(path, copy)
        except FileNotFoundError:
            return None
        size = sum(file.stat().st_size for file in copy.iterdir())
        keys, problem = 0, None
        try:
            database = Rdict(str(copy), options(new=False), access_type=AccessType.read_only())
            try:
                name = database.get(NAME)
                reading = database.iter()
                reading.seek_to_first()
                while reading.valid():
                    keys += 1
                    if keys % _QUIET == 0:
                        progress(step, keys)
                    reading.next()
                reading.status()
                if name != path.name.encode():
                    said = name.decode(errors="replace") if name else "nothing"
                    problem = f"its MANIFEST was cut short: by what it holds it is {said}"
            finally:
                database.close()
        except Exception as error:
            problem = str(error)
        progress(step, keys)
        return Checked(step, path, cut, keys, size, problem)


def _check_sqlite(path: Path) -> str | None:
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10) as database:
            said = "; ".join(row[0] for row in database.execute("PRAGMA quick_check"))
        database.close()
    except sqlite3.Error as error:
        return str(error)
    return None if said == "ok" else said
