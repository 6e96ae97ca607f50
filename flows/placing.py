"""A playbook on the state that it is to run on: where its features are counted (`operators/slots.py`)."""

from __future__ import annotations

from pathlib import Path

import msgspec

from operators import playbook, slots
from operators.playbook import Playbook
from operators.slots import Slots
from state.errors import StateError, unusable

FILE = "slots.json"


def place(root: Path, text: str, name: str = "playbook") -> tuple[Playbook, Slots | None]:
    """The playbook `text` for the scope in `root`, and its slots where these are kept: since the scope has
    a history. Raises BadPlaybook, StateError."""
    book = playbook.load(text, name)
    known = _read(root)
    if known is None and not book.history:
        return book, None
    found, placed = slots.assign(known, text, book)
    if placed:
        book = playbook.load(text, name, placed, found.generations if book.history else {})
    return book, found


def keep(root: Path, found: Slots, last: int) -> None:
    """Keep the slots that are in use from behind the cut `last` on."""
    generations = {one: last if cut < 0 else cut for one, cut in found.generations.items()}
    draft = root / f"{FILE}.tmp"
    try:
        draft.write_bytes(slots.encode(msgspec.structs.replace(found, generations=generations)))
        draft.replace(root / FILE)
    except OSError as error:
        raise unusable(f"cannot write in the state directory {root}", error) from None


def _read(root: Path) -> Slots | None:
    try:
        return slots.decode((root / FILE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise StateError(f"cannot read {root / FILE}: {error}") from None
