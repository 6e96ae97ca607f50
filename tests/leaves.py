"""A simulation that keeps history beside everything else, as the step does but in memory."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from operators import history
from operators.history import Change, Happened
from operators.operations import Pack
from tests.outcome import Outcome
from tests.simulate import Simulation


class Bytes:
    """A store of bytes in the order of its keys."""

    def __init__(self) -> None:
        self._keys: list[bytes] = []
        self._values: dict[bytes, bytes] = {}

    def get(self, key: bytes, /) -> bytes | None:
        return self._values.get(key)

    def scan(self, low: bytes, high: bytes, /) -> Iterator[tuple[bytes, bytes]]:
        for key in self._keys[bisect_left(self._keys, low) : bisect_left(self._keys, high)]:
            yield key, self._values[key]

    def write(self, changes: Iterable[Change]) -> None:
        for key, value in changes:
            if value is None:
                if self._values.pop(key, None) is not None:
                    self._keys.remove(key)
            else:
                if key not in self._values:
                    insort(self._keys, key)
                self._values[key] = value


class Remembering(Simulation):
    """`leaves`: a store per shard of leaves."""

    leaves: list[Bytes]

    def _hand_out(self, packs: list[Pack]) -> None:
        if not hasattr(self, "leaves"):
            self.leaves = [Bytes() for _ in packs]
        for pack in history.by_leaf(packs):
            self.leaves[pack.shard].write(history.appended(pack))
        super()._hand_out(packs)

    def happened(self, leaves: Iterable[str]) -> list[Happened]:
        """The events of `leaves` in recorded order."""
        shards = len(self.leaves)
        return history.recorded(
            one
            for leaf in leaves
            for one in history.events(self.leaves[history.shard_of(leaf, shards)], leaf)
        )

    def members(self, outcome: Outcome) -> dict[str, list[str]]:
        """Every customer's identifiers."""
        return {id: self.tables.clusters[id].members for id in outcome.customers}
