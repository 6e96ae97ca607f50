"""Decoded values in front of a store: read through, written back in batches.

Two generations instead of a list of last uses: a value that is read while it is in the old generation
moves to the young one; when the young one is full, `settle` makes it the old one and forgets the one before.
A hit costs one dict look-up.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final, Generic, TypeVar

from state.store import Store

V = TypeVar("V")
RECENT: Final = 0.01  # share of one value in the mean of their lengths


class Cache(Generic[V]):
    """One key space of a store.

    Parameters
    ----------
    prefix
        One byte that keeps this key space apart from others in the same store.
    size
        Values in each of the two generations, not counting what one batch adds.
    usual
        Bytes of an encoded value that `size` reckons with. While they have more on average, a generation has
        as many values fewer. 0: they may be of any length.
    """

    def __init__(
        self,
        store: Store,
        prefix: bytes,
        encode: Callable[[V], bytes],
        decode: Callable[[str, bytes], V],
        size: int,
        usual: int = 0,
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._encode = encode
        self._decode = decode
        self._size = size
        self._usual = float(usual)
        self._mean = 0.0  # bytes of those that were read and written lately
        self._young: dict[str, V] = {}
        self._old: dict[str, V] = {}
        self._dirty: dict[str, V | None] = {}
        self.misses = 0

    def get(self, key: str, /) -> V | None:
        found = self._young.get(key)
        return found if found is not None else self._older(key)

    def __setitem__(self, key: str, value: V, /) -> None:
        self._dirty[key] = self._young[key] = value

    def __delitem__(self, key: str, /) -> None:
        self._young.pop(key, None)
        self._old.pop(key, None)
        self._dirty[key] = None

    def settle(self) -> None:
        """Between two batches: forget what was not read for long."""
        count = len(self._young)
        if count >= self._size or count * self._mean > self._size * self._usual > 0:
            self._old, self._young = self._young, {}

    @property
    def entries(self) -> int:
        return len(self._young) + len(self._old)

    @property
    def unwritten(self) -> int:
        return len(self._dirty)

    def write_back(self, most: int | None = None) -> list[str]:
        """Bring changes to the store, all or the `most` that wait longest, and say of which keys; the values
        stay here. Never in the middle of a batch: a value that is just being changed would be written half
        done."""
        dirty = self._dirty
        if most is None or most >= len(dirty):
            changes, self._dirty = dirty, {}
        else:
            changes = {key: dirty.pop(key) for key in list(islice(dirty, most))}
        if changes:
            prefix = self._prefix
            self._store.write(
                (prefix + key.encode(), None if value is None else self._weighed(self._encode(value)))
                for key, value in changes.items()
            )
        return list(changes)

    def _weighed(self, raw: bytes) -> bytes:
        self._mean += (len(raw) - self._mean) * RECENT
        return raw

    def _older(self, key: str) -> V | None:
        found = self._old.get(key)
        if found is None:
            if key in self._dirty:
                found = self._dirty[key]
                if found is not None:
                    self._young[key] = found
                return found
            self.misses += 1
            raw = self._store.get(self._prefix + key.encode())
            if raw is None:
                return None
            found = self._decode(key, self._weighed(raw))
        self._young[key] = found
        return found
