"""A simulation that keeps history beside everything else, as the step does but in memory."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator, Sequence

from operators import folding, history, slots
from operators import playbook as playbooks
from operators.effects import Effect
from operators.filling import Filling, Progress
from operators.folding import Folding, Summary, Sweep
from operators.graph import Progress as Resolved
from operators.history import Change, Happened
from operators.operations import FILL_COMMAND, Pack
from operators.order import COMMAND, INTERNAL_TIME, Front
from operators.playbook import Playbook
from operators.rebuild import Counter
from operators.records import Record
from schemas import topics
from tests.outcome import Outcome
from tests.simulate import Inputs, Simulation, Tables


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
    foldings: list[Folding]

    def _start(self, tables: Tables, progress: Resolved, shards: Sequence[bytes | None]) -> None:
        super()._start(tables, progress, shards)
        if not hasattr(self, "leaves"):
            self.leaves, sweeps = [Bytes() for _ in shards], [Sweep() for _ in shards]
        else:
            sweeps = [it.progress for it in self.foldings]
        self.foldings = [Folding(self.playbook, it, {}) for it in sweeps]

    def _hand_out(self, packs: list[Pack]) -> None:
        for pack in history.by_leaf(packs):
            self.leaves[pack.shard].write(history.appended(pack))
            self._fold(pack)
        super()._hand_out(packs)

    def _fold(self, pack: Pack) -> None:
        table = self.leaves[pack.shard]
        self.foldings[pack.shard].step(table, table.write, pack.watermark, len(pack.operations))

    @property
    def since(self) -> int:
        """From when (ms) on all that happened is there event by event."""
        return max(folding.progress.until for folding in self.foldings)

    def folded(self, leaves: Iterable[str]) -> dict[str, Summary]:
        """What was folded of `leaves`."""
        shards = len(self.leaves)
        found = {leaf: folding.summary(self.leaves[history.shard_of(leaf, shards)], leaf) for leaf in leaves}
        return {leaf: one for leaf, one in found.items() if one is not None}

    def rebuilt(self, customer: str, leaves: Collection[str]) -> Record:
        """What is counted of the customer with these leaves."""
        start = folding.beginning(customer, self.folded(leaves).values(), self.playbook.kept)
        return Counter(self.playbook, {}).record(customer, self.happened(leaves), start)

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


class Changing(Remembering):
    """One whose playbook changes on the way, with a clean stop and a start: new features are filled from
    history. The last internal partition is `control`."""

    def __init__(self, playbook: Playbook, text: str, inputs: Inputs, shards: int) -> None:
        super().__init__(playbook, inputs, shards, internals=3)
        self.internals = 2  # for moves
        self._slots, _ = slots.assign(None, text, playbook)
        self._fillings: list[Filling] = []

    def change(self, text: str) -> None:
        self._catch_up(())
        self._slots, placed = slots.assign(self._slots, text, playbooks.load(text))
        self.playbook = playbooks.load(text, "changed", placed, self._slots.generations)
        saved = [shard.encode() for shard in self.shards]
        old, self.front = self.front, Front(len(self.inputs), 3, self.playbook.times.alignment)
        self.front.resume(old.offsets, old.highest, old.number, old.watermark)
        self._start(self.tables, self.resolver.progress, saved)
        first = old.number + 1
        self._fillings = [Filling(self.playbook, n, Progress(), {}, first) for n in range(len(saved))]

    @property
    def filled(self) -> bool:
        later = self.playbook.later
        return all(shard.customers.shown.keys() >= later.keys() for shard in self.shards)

    def _hand_out(self, packs: list[Pack]) -> None:
        super()._hand_out(packs)
        for filling, table in zip(self._fillings, self.leaves, strict=False):
            if not filling.over:
                self._collect(filling.step(table, packs[0].number))

    def _fold(self, pack: Pack) -> None:
        if all(it.over for it in self._fillings):
            super()._fold(pack)

    def _collect(self, effect: Effect) -> None:
        super()._collect(effect)
        if effect.topic == topics.CONTROL and effect.key == FILL_COMMAND:
            self.moves[-1].append(effect.body)
            self._deliver(2, len(self.moves[-1]) - 1)

    def _deliver(self, index: int, offset: int) -> None:
        if index < 2:
            super()._deliver(index, offset)
        else:
            raw = self.moves[index][offset]
            place = len(self.inputs) + index
            self.front.add((INTERNAL_TIME, place, offset, COMMAND, 0, FILL_COMMAND, raw))
