"""Copying a scope's state to a second place while workers run, and bringing it back.

A backup is the newest durable point and, of every step, the checkpoint that was in force there. Table files
never change once written, so only those that the place does not have yet travel. What was processed after
the point is repeated from `order` and the inputs by whoever starts on the restored state.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from state import points
from state.errors import StateError, unusable
from state.place import Damaged, Manifest, Place, digest, scopes
from state.store import borrow
from state.verify import in_force, steps

Progress = Callable[[int, int], None]  # bytes done, bytes in all
TRIES = 200
PAUSE = 0.05  # seconds between tries to catch a point and its checkpoints together
_HERE = re.compile(r"lock(-\d+)?|.*\.(lock|tmp)|digests\.json")  # of who uses the directory now


class Made(NamedTuple):
    """A backup that was made. `sent` of its `files` were not at the place yet; `removed`: by pruning."""

    name: str
    cut: int
    files: int
    bytes: int
    sent: int
    sent_bytes: int
    removed: int


class Restored(NamedTuple):
    root: Path
    name: str
    cut: int
    made: str
    files: int
    bytes: int


def backup(
    root: Path, url: str, keep: int | None = None, progress: Progress = lambda done, total: None
) -> Made:
    """Copy the state of the scope in `root` to `url`. With `keep`, only so many backups stay there.

    Raises StateError when there is nothing durable yet, or the place cannot be used.
    """
    place = Place(url, root.name)
    with _alone(root), tempfile.TemporaryDirectory(prefix=".backup-", dir=root) as folder:
        staged = Path(folder)
        cut = _stage(root, staged)
        files = {str(path.relative_to(staged)): path for path in sorted(staged.rglob("*")) if path.is_file()}
        digests = _digests(root, files)
        place.prepare()
        there = place.sizes()
        missing = {
            digests[name]: path
            for name, path in files.items()
            if there.get(digests[name]) != path.stat().st_size
        }
        total, done = sum(path.stat().st_size for path in missing.values()), 0
        for sha256, path in missing.items():
            progress(done, total)
            place.put(path, sha256)
            done += path.stat().st_size
        progress(done, total)
        manifest = Manifest(
            root.name,
            datetime.now(UTC).isoformat(timespec="seconds"),
            cut,
            {name: (digests[name], path.stat().st_size) for name, path in files.items()},
        )
        _check_arrived(place, manifest)
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{cut:012d}"
        place.finish(name, manifest)
    removed = place.prune(keep) if keep is not None else 0
    size = sum(size for _, size in manifest.files.values())
    return Made(name, cut, len(files), size, len(missing), total, removed)


def restore(
    url: str,
    state: Path,
    scope: str | None = None,
    name: str | None = None,
    progress: Progress = lambda done, total: None,
) -> Restored:
    """Bring a backup (the newest, unless named) into a new folder below `state`; every file is checked.

    Raises StateError when there is none, it is damaged, or the scope has state there already.
    """
    place = Place(url, scope := the_scope(url, scope))
    name, manifest = _wanted(place, name)
    root = state / scope
    if root.exists():
        raise StateError(f"{root} is there already; move it away first, or restore to another --state")
    total, done = sum(size for _, size in manifest.files.values()), 0
    try:
        state.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=state) as folder:
            draft = Path(folder) / scope
            for path, (sha256, size) in manifest.files.items():
                progress(done, total)
                (draft / path).parent.mkdir(parents=True, exist_ok=True)
                place.get(sha256, draft / path)
                done += size
            progress(done, total)
            draft.rename(root)
    except Damaged as error:
        others = [other for other in place.names() if other != name]
        raise StateError(
            f"the backup {name} cannot be used: {error}. "
            + (f"Choose another with --backup: {', '.join(others)}" if others else "There is no other")
        ) from None
    except OSError as error:
        raise unusable(f"cannot restore to {root}", error) from None
    return Restored(root, name, manifest.cut, manifest.made, len(manifest.files), total)


def the_scope(url: str, scope: str | None) -> str:
    """`scope`, or the only one that has backups at `url`. Raises StateError."""
    if scope is not None:
        return scope
    found = scopes(url)
    if len(found) != 1:
        what = (
            f"several scopes, {', '.join(found)}: choose one with --scope" if found else "no backup of oncue"
        )
        raise StateError(f"{url} holds {what}")
    return found[0]


def _wanted(place: Place, name: str | None) -> tuple[str, Manifest]:
    names = place.names()
    for candidate in [name] if name is not None else reversed(names):
        manifest = place.manifest(candidate)
        if manifest is not None:
            return candidate, manifest
    what = f"no whole backup {name}" if name is not None else "no whole backup"
    raise StateError(f"{place.url} holds {what}; there is: {', '.join(names) or 'nothing'}")


def _stage(root: Path, to: Path) -> int:
    """Gather a consistent state under `to` by links; the cut it stands for."""
    for _ in range(TRIES):
        known = points.read(root / "points", points.SEQUENCE)
        if known:
            cut, position = known[-1]
            try:
                for step in steps(root):
                    path = in_force(root, step, cut)
                    if path is None:
                        raise FileNotFoundError(step)
                    borrow(path, to / step / path.name)
            except FileNotFoundError:
                shutil.rmtree(to)  # workers went on meanwhile; there is a newer point
                to.mkdir()
            else:
                for file in root.iterdir():  # also what makes it a replay, and of whom
                    if file.is_file() and not _HERE.fullmatch(file.name):
                        shutil.copy2(file, to / file.name)
                _stage_points(root, to, cut, position)
                return cut
        time.sleep(PAUSE)
    raise StateError(
        f"{root} holds no point to go on from yet: it comes with the first epochs of a run. Let oncue run, "
        "then back up again"
    )


def _stage_points(root: Path, to: Path, cut: int, position: bytes) -> None:
    """A writer's position is good for every cut from its own on: of each the newest not after `cut`."""
    for name in points.names(root / "points"):
        fitting = [it for it in points.read(root / "points", name) if it[0] <= cut]
        if fitting and name != points.SEQUENCE:
            points.write(to / "points", name, fitting[-1:])
    points.write(to / "points", points.SEQUENCE, [(cut, position)])


def _check_arrived(place: Place, manifest: Manifest) -> None:
    there = place.sizes()
    lost = [sha256 for sha256, size in manifest.files.values() if there.get(sha256) != size]
    if lost:
        raise StateError(
            f"{place.url} lost {len(lost)} files while the backup was made. Does another oncue back up, with "
            "--keep, to the same place? One at a time can; then back up again"
        )


def _digests(root: Path, files: dict[str, Path]) -> dict[str, str]:
    """SHA-256 of each file. A table file's is remembered by inode: links keep it, and it never changes."""
    known = _remembered(root)
    found: dict[str, str] = {}
    kept: dict[str, str] = {}
    for name, path in files.items():
        about = path.stat()
        key = f"{about.st_ino}:{about.st_size}:{about.st_mtime_ns}"
        sha256 = known.get(key) or digest(path)
        found[name] = sha256
        if path.suffix == ".sst":
            kept[key] = sha256
    draft = root / "digests.tmp"
    draft.write_bytes(msgspec.json.encode(kept))
    draft.replace(root / "digests.json")
    return found


def _remembered(root: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode((root / "digests.json").read_bytes(), type=dict[str, str])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One backup of a state directory at a time; what a killed one left behind is removed."""
    try:
        handle = (root / "backup.lock").open("w")
    except OSError as error:
        raise unusable(f"cannot write in the state directory {root}", error) from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StateError(f"another backup of {root} is running") from None
        for left in root.glob(".backup-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
