"""Two states change places: the new one becomes the live one, the old one is kept as the way back.

`<live>/<scope>` and the folder of the new state are renamed. A crash between two renames leaves a state
aside; `settle` finishes what broke off, or takes it back.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from state.errors import StateError, unusable

BEFORE = "before-promote"  # the folder in the live state directory that keeps the old state
# Files in a state directory: where it took over, and where it is about to.
SEAM, PENDING = "taken-over", "taking-over"
_ASIDE = ".aside"


@contextmanager
def alone(live: Path) -> Iterator[None]:
    """While no other promote works on the state directory `live`. Raises StateError when one does."""
    try:
        handle = os.open(live, os.O_RDONLY)
    except OSError as error:
        raise unusable(f"cannot open the state directory {live}", error) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(f"another oncue promote is at work on {live}; let it end, or stop it") from None
        yield
    finally:
        os.close(handle)


def check(root: Path, live_root: Path) -> None:
    """Raises StateError when the state at `root` could not be renamed to `live_root`. Tries it with an empty
    folder: a device number is the same for two mounts of one file system, between which nothing moves."""
    trial = None
    try:
        trial = Path(tempfile.mkdtemp(prefix=".promote-", dir=root.parent))
        trial = trial.rename(live_root.parent / trial.name)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise StateError(
                f"{root} is on another file system than {live_root}: its directory cannot take the place of "
                "that one. Move it there first"
            ) from None
        raise unusable(f"cannot put {root} in the place of {live_root}", error) from None
    finally:
        if trial is not None:
            trial.rmdir()


def swap(root: Path, live_root: Path) -> None:
    """Raises StateError with everything where it was."""
    aside = _aside(live_root)
    try:
        aside.parent.mkdir(exist_ok=True)
        live_root.rename(aside)
        root.rename(live_root)
    except OSError as error:
        settle(live_root.parent)
        raise unusable(f"cannot put {root} in the place of {live_root}", error) from None
    settle(live_root.parent)


def settle(live: Path) -> Path | None:
    """After a `swap` that broke off: if the new state was in its place, finish, else take it back. The new
    live state if there is one by this."""
    for aside in (live / BEFORE).glob(f"*{_ASIDE}"):
        name = aside.name.removesuffix(_ASIDE)
        if (live / name).exists():
            shutil.rmtree(live / BEFORE / name, ignore_errors=True)  # the way back of an earlier promote
            aside.rename(live / BEFORE / name)
        else:
            aside.rename(live / name)
    for pending in live.glob(f"*/{PENDING}"):
        return pending.rename(pending.with_name(SEAM)).parent
    return None


def check_settled(live_root: Path) -> None:
    """Raises StateError when a state that is not there would be made anew although it was only put aside."""
    if not live_root.exists() and _aside(live_root).exists():
        raise StateError(
            f"{live_root} is not there because oncue promote broke off: it is in {_aside(live_root)}. The "
            "same oncue promote puts it back and goes on"
        )


def _aside(live_root: Path) -> Path:
    return live_root.parent / BEFORE / f"{live_root.name}{_ASIDE}"
