"""A scope's state directory: what it was made for, and who may use it now.

<dir>/<scope>/oncue.json   what cannot change later: format, shards, partitions, identifiers
<dir>/<scope>/lock         held by the running workers; lock-0 and so on by peers
<dir>/<scope>/recovery     Bytewax's own recovery store
<dir>/<scope>/points       the last durable positions, for when Bytewax has none
<dir>/<scope>/resolve, shard-00 ...   one RocksDB store each
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from state.errors import REBUILD, StateError, unusable
from state.migrations import FORMAT, check

TRIAL = 1 << 20  # bytes
PATIENCE = 5.0  # seconds that a lock may still be held by workers that are ending


class Directory:
    """`root` is `<dir>/<scope>`. `open` creates it on first use and checks it on every other."""

    def __init__(self, state: Path, scope: str) -> None:
        self.state = state
        self.root = state / scope
        self.recovery = self.root / "recovery"
        self.points = self.root / "points"
        self._lock: int | None = None
        self._shared: int | None = None

    def open(self, fixed: dict[str, Any], prepare: Callable[[Path], None]) -> None:
        """Create, or compare with what was `fixed` at creation. `prepare` fills a recovery folder that is
        empty: the scope is new, or was restored from elsewhere.

        Raises StateError naming each difference.
        """
        about = self.root / "oncue.json"
        others = [path.name for path in self.state.iterdir()] if self.state.is_dir() else []
        foreign = [
            name for name in others if (self.state / name / "oncue.json").is_file() and name != self.root.name
        ]
        if foreign and not about.exists():
            raise StateError(
                f"{self.state} belongs to the scope {foreign[0]!r}, not to {self.root.name!r}; "
                "give each scope a state directory of its own with --state"
            )
        wanted = {"format": FORMAT, "scope": self.root.name, **fixed}
        known = about.exists()
        if known:
            found = _read(about)
            check(found.get("format"), self.root)
            self._compare(found, {**wanted, "format": found["format"]})
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if not _filled(self.recovery):
                draft = self.root / "recovery.tmp"  # peers must not see half of it
                shutil.rmtree(draft, ignore_errors=True)
                draft.mkdir()
                prepare(draft)
                draft.replace(self.recovery)
            if known:
                return
            _write(about, wanted)
        except OSError as error:
            raise unusable(f"cannot make the state directory {self.root}", error) from None

    def await_made(self, seconds: float) -> bool:
        """Whether another process has opened it by then; of a cluster the first makes it for all."""
        until = time.monotonic() + seconds
        while not ((self.root / "oncue.json").is_file() and _filled(self.recovery)):
            if time.monotonic() > until:
                return False
            time.sleep(0.2)
        return True

    def lock(self, peer: int | None = None) -> None:
        """Keep every other process out for as long as this one, or a child it passes the lock to, lives.
        A `peer` keeps out those with its number, and all that are none.

        Workers of a supervisor that was killed need a moment to notice; they are waited for.
        """
        if peer is not None:
            self._shared = self._take("lock", fcntl.LOCK_SH)
        self._lock = self._take("lock" if peer is None else f"lock-{peer}", fcntl.LOCK_EX)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)
        about = self.root / "oncue.json"
        found = _read(about)
        if found["format"] != FORMAT:  # earlier programs must not touch it from here on
            try:
                _write(about, {**found, "format": FORMAT})
            except OSError as error:
                raise unusable(f"cannot write in the state directory {self.root}", error) from None

    def _take(self, name: str, kind: int) -> int:
        try:
            handle = os.open(self.root / name, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise unusable(f"cannot write in the state directory {self.root}", error) from None
        if not _locked(handle, kind, time.monotonic() + PATIENCE):
            holder = os.read(handle, 20).decode() or "unknown"
            os.close(handle)
            raise StateError(
                f"{self.root} is in use by process {holder.strip()}; one oncue at a time can run on it"
            )
        os.set_inheritable(handle, True)
        return handle

    def remember(self, playbook: str) -> None:
        """Keep the playbook that the state is being made with beside it, for reading the state."""
        draft = self.root / "playbook.tmp"
        try:
            draft.write_text(playbook)
            draft.replace(self.root / "playbook.yaml")
        except OSError as error:
            raise unusable(f"cannot write in the state directory {self.root}", error) from None

    def remembered(self) -> str | None:
        """The playbook that the state was made with last."""
        try:
            return (self.root / "playbook.yaml").read_text()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise unusable(f"cannot read {self.root / 'playbook.yaml'}", error) from None

    def trouble(self) -> StateError | None:
        """Why nothing can be written there, if so: not everything that fails to can say it."""
        trial = self.root / "trial.tmp"
        try:
            trial.write_bytes(bytes(TRIAL))
            trial.unlink()
        except OSError as error:
            return unusable(f"cannot write in the state directory {self.root}", error)
        return None

    @property
    def lock_handle(self) -> int:
        assert self._lock is not None, "not locked"
        return self._lock

    def step(self, name: str) -> Path:
        return self.root / name

    def _compare(self, found: dict[str, Any], wanted: dict[str, Any]) -> None:
        wrong = [
            f"{key} is {found.get(key)!r} there and {wanted[key]!r} now"
            for key in wanted
            if found.get(key) != wanted[key]
        ]
        if wrong:
            raise StateError(
                f"the state in {self.root} was made for something else: {'; '.join(wrong)}. Use the old "
                f"settings, or another --state. {REBUILD}"
            )


def _filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _locked(handle: int, kind: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)


def _write(about: Path, what: dict[str, Any]) -> None:
    draft = about.with_suffix(".tmp")
    draft.write_text(json.dumps(what, indent=2) + "\n")
    draft.replace(about)


def _read(about: Path) -> dict[str, Any]:
    try:
        found = json.loads(about.read_text())
    except (ValueError, OSError) as error:
        raise unusable(f"cannot read {about}", error) from None
    if not isinstance(found, dict):
        raise StateError(f"{about} is not what oncue wrote there. {REBUILD}")
    return found
