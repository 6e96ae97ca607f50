"""Where a scope can be taken up again: the last few durable positions of its reader and its writers.

Bytewax keeps only the newest position, in a store of its own. These files hold the same bytes, one file a
name, so that a copy of the state can go on elsewhere, and that damage to the newest checkpoint can be
undone by going back to the one before. They are read only when Bytewax has nothing.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from state.errors import unusable

KEPT = 8  # more than there are checkpoints, so that each of those has a position to go with it
SEQUENCE = "sequence"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[int, bytes]]).decode


class Points:
    """One name's positions in `folder`, each with the cut it stands for, oldest first."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / name
        self._kept = read(folder, name)

    def keep(self, cut: int, position: bytes) -> None:
        """Raises StateError when it cannot be written."""
        self._kept = [it for it in self._kept if it[0] < cut][1 - KEPT :]
        self._kept.append((cut, position))
        write(self._path.parent, self._path.name, self._kept)

    def newest(self, cut: int | None = None) -> tuple[int, bytes] | None:
        """The newest position, or the newest that is not after `cut`."""
        fitting = [it for it in self._kept if cut is None or it[0] <= cut]
        return fitting[-1] if fitting else None


def read(folder: Path, name: str) -> list[tuple[int, bytes]]:
    """What is kept under a name. A file that cannot be made sense of holds nothing: it is a spare copy."""
    try:
        return _decode((folder / name).read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return []
    except OSError as error:
        raise unusable(f"cannot read {folder / name}", error) from None


def write(folder: Path, name: str, kept: list[tuple[int, bytes]]) -> None:
    draft = folder / f"{name}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(_encode(kept))
        draft.replace(folder / name)
    except OSError as error:
        raise unusable(f"cannot write {folder / name}", error) from None


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*") if path.suffix != ".tmp")
