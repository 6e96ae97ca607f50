"""Filling new features from history, shard of leaves by shard, a little with every cut.

A shard goes through its leaves once for each generation of slots (`operators/slots.py`). Of a leaf's events
up to the last cut before the generation began it makes what the new slots would have counted, and sends
that to whoever has the leaf when it arrives. It comes back through the sequencer like everything else, so
the owner is right whatever merged meanwhile, and is added like the other half of a merge. When all shards
are through, everything has arrived: the features are shown from the next move of the watermark on.
"""

from __future__ import annotations

import msgspec

from operators import features, folding, history, operations, records
from operators.dedupe import Seen
from operators.effects import Effect
from operators.history import BEHIND_EVENTS, EVENTS, Happened
from operators.operations import Filled
from operators.parts import Measured
from operators.playbook import Playbook
from operators.rebuild import Counter
from operators.records import Record
from operators.reference import Table
from schemas import topics

PER_CUT = 64  # events of a shard, about 2 ms
AT_ONCE = 5_000  # events of one leaf; repetitions are looked for within so many, and in what is recent

_pack = msgspec.msgpack.Encoder().encode


class Progress(msgspec.Struct, array_like=True):
    """How far a shard is: `done` generations; of the one under way the last cut that counts and the key
    behind the last event. `seen`: the messages of the last leaf, as `operators/dedupe.py` notes them."""

    done: list[int] = []
    boundary: int = -1
    cursor: bytes = EVENTS
    leaf: str = ""
    seen: dict[int, int] = {}


class Filling:
    """One shard's part. `first`: the first cut that the shard is given since it was opened."""

    def __init__(self, playbook: Playbook, shard: int, progress: Progress, known: Table, first: int) -> None:
        self.progress = progress
        self._shard = shard
        self._first = first
        self._boundaries = playbook.generations
        self._left = [it for it in sorted(playbook.generations) if it not in progress.done]
        self._counter = Counter(playbook, known)
        self._plan = playbook.plan

    @property
    def over(self) -> bool:
        return not self._left

    def step(self, table: history.Table, cut: int) -> Effect:
        """The next few events, as a record for `control`."""
        progress, generation = self.progress, self._left[0]
        if progress.boundary < 0:
            known = self._boundaries[generation]
            progress.boundary = known if known >= 0 else self._first - 1
        found: list[tuple[str, bytes]] = []
        count = 0
        while count < PER_CUT and (rows := self._next(table)):
            count += len(rows)
            counted = self._counted([it for it in rows if it.cut <= progress.boundary], generation)
            if counted:
                found.append((progress.leaf, counted))
        over = count < PER_CUT
        if over:
            self._left.pop(0)
            self.progress = Progress([*progress.done, generation], seen={})
        body = _pack(Filled(generation, self._shard, over, found))
        id = f"fill:{generation}:{self._shard}:{cut}"
        return Effect(topics.CONTROL, id, operations.FILL_COMMAND, body, "oncue.control.fill", 0, 0)

    def _next(self, table: history.Table) -> list[Happened]:
        """The next leaf's events, or as many as are taken at once."""
        progress = self.progress
        rows: list[Happened] = []
        for key, value in table.scan(progress.cursor, BEHIND_EVENTS):
            one = history.read(key, value)
            if rows and (one.leaf != rows[0].leaf or len(rows) >= AT_ONCE):
                break
            rows.append(one)
            progress.cursor = key + b"\0"
        if rows and rows[0].leaf != progress.leaf:
            progress.leaf, progress.seen = rows[0].leaf, _seen(table, rows[0].leaf)
        return rows

    def _counted(self, rows: list[Happened], generation: int) -> bytes:
        """What these events of one leaf say in the slots of the generation; nothing where that is nothing."""
        start = Record(self.progress.leaf)
        start.part("seen").update(self.progress.seen)
        record = self._counter.record(start.id, history.recorded(rows), start)
        self.progress.seen = dict(record.part("seen"))
        if not record.has("m"):
            return b""
        ending = f"/{generation}"
        panes = features.settle(record.part("m"), self._plan)
        mine = {slot: packed for slot, packed in panes.items() if slot.endswith(ending)}
        return _pack(Measured([], [], _pack(mine))) if mine else b""


def _seen(table: history.Table, leaf: str) -> Seen:
    """The messages of a leaf whose events are folded."""
    folded = folding.summary(table, leaf)
    found: Seen = {} if folded is None else records.decode(leaf, folded.record).part("seen")
    return found
