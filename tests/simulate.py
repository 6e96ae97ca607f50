"""The whole pipeline in memory, out of the pure core alone, and the same fold the obvious way.

`Simulation` runs Front, Resolver and the Customers shards cut by cut. Moves come back when the test
says so, shards may lag, and everything may crash. `replay` is what all of that must amount to: one
shard, and merges that take no time.

Inputs are `{"topic/partition": [(offset, arrived ms, raw bytes), ...]}`; the order of the keys is the
order of the partitions in the marker of the `order` topic.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from operators import headers, records, reference
from operators.counts import Counts
from operators.customers import Customers
from operators.cuts import Arrival, Batch, Cut
from operators.effects import Effect
from operators.graph import Cluster, Evidence, Progress
from operators.identifiers import Identifiers
from operators.identity import Identities
from operators.operations import EXPECT, MOVED, RETIRE, MoveBody, Operation, Pack
from operators.order import BAD, EVENT, INTERNAL_TIME, MODEL, MOVE, REFERENCE, Front
from operators.playbook import Playbook
from operators.records import Record
from operators.reference import Known
from operators.resolve import Resolver
from operators.scores import Taken
from operators.timers import Alarm, Timers
from schemas import topics
from tests.outcome import Outcome

Inputs = Mapping[str, Sequence[tuple[int, int, bytes]]]
Models = Mapping[int, Sequence[tuple[int, bytes]]]  # number of a cut -> offset and body of the models in it
NO_MODELS: Models = {}
ALL = 1 << 30


class Step(NamedTuple):
    """A cut without its moves. `ends`: place -> end offset of the channel partitions that advanced."""

    ends: Mapping[str, int]
    watermark: int
    last: bool = False


def replay(playbook: Playbook, inputs: Inputs, cuts: Iterable[Step], models: Models = NO_MODELS) -> Outcome:
    """The fold of input and cuts by one shard whose moves arrive before the next operation.

    Offsets in `ends` of places that are no inputs (moves, control, models) are ignored.
    """
    shard = Shard(playbook, 0)
    found = list(fold(shard, playbook, inputs, cuts, models))
    return Outcome(playbook, found, shard.store.everybody())


def fold(
    shard: Shard, playbook: Playbook, inputs: Inputs, cuts: Iterable[Step], models: Models = NO_MODELS
) -> Iterator[Effect]:
    """The effects of `replay` one by one, which leaves the customers in `shard`."""
    places = list(inputs)
    waiting = {
        place: _coming(playbook, place, index, rows) for index, (place, rows) in enumerate(inputs.items())
    }
    ahead: dict[str, Arrival | None] = {place: next(rows, None) for place, rows in waiting.items()}
    resolver = Resolver(identities(playbook, Tables({}, {}, {}, {})), 1, Progress(received={}))
    before = -1
    for number, step in enumerate(cuts, 1):
        events: list[Arrival] = [
            (INTERNAL_TIME, len(places), offset, MODEL, 0, None, raw)
            for offset, raw in models.get(number, ())
        ]
        for place in places:
            end = step.ends.get(place, 0)
            while (arrival := ahead[place]) is not None and arrival[2] < end:
                events.append(arrival)
                ahead[place] = next(waiting[place], None)
        events.sort(key=lambda one: one[:3])
        named = [*places, models_place(playbook)]
        batch = Batch(number, step.watermark, before, step.last, 0, named, events)
        (pack,) = resolver.apply(batch)
        at_once = msgspec.structs.replace(pack, operations=_instantly(pack.operations, shard.store))
        yield from shard.apply(at_once)
        shard.store.forget()
        before = step.watermark


def models_place(playbook: Playbook) -> str:
    return f"{topics.learning(playbook.scope, 'models')}/0"


def _instantly(operations: Iterable[Operation], store: Store) -> list[Operation]:
    """Each move arrives right behind the operation that awaits it. What it brings is put in as soon as it is
    known, while the operations are being applied one after the other."""
    found: list[Operation] = []
    numbers: dict[str, int] = {}
    moved: dict[int, int] = {}
    for op in operations:
        found.append(op)
        if op[0] == RETIRE:
            numbers[op[1]] = op[3]
        elif op[0] == EXPECT:
            moved[op[2]] = len(found)
            found.append((MOVED, op[1], op[2], b""))

    def brought(loser: Record) -> None:
        if loser.id in numbers:
            place = moved[numbers[loser.id]]
            found[place] = (*found[place][:3], loser.encode())

    store.on_drop = brought
    return found


def arrivals(playbook: Playbook, inputs: Inputs) -> dict[str, list[Arrival]]:
    """Every record as the front sees it. What cannot be read takes the time of what was before it."""
    return {
        place: list(_coming(playbook, place, index, rows))
        for index, (place, rows) in enumerate(inputs.items())
    }


def _coming(
    playbook: Playbook, place: str, index: int, rows: Iterable[tuple[int, int, bytes]]
) -> Iterator[Arrival]:
    known = Identifiers(playbook.policies, playbook.region)
    kind = {topic: kind for kind, topic in playbook.reference.items()}.get(place.rpartition("/")[0])
    newest = -1
    for offset, arrived, raw in rows:
        try:
            if kind is None:
                at, keys = headers.read(raw, arrived, known)
                newest = max(newest, at)
                yield at, index, offset, EVENT, arrived, keys, raw
            else:
                # A record without a value: tests write its key behind a NUL.
                value, key = (None, raw[1:]) if raw[:1] == b"\0" else (raw, None)
                told = reference.read(kind, value, key, arrived)
                newest = max(newest, told.came)
                yield told.came, index, offset, REFERENCE, arrived, told, b""
        except headers.BadHeader as bad:
            yield newest, index, offset, BAD, arrived, (bad.reason, bad.detail), raw


def cut_up(playbook: Playbook, inputs: Inputs, deliveries: Iterable[Sequence[int]] = ()) -> list[Step]:
    """The cuts a front makes when round after round so many records of each partition arrive, one
    cut a round; what is left arrives together. Partitions that are through are proven idle."""
    places = list(inputs)
    coming = [iter(rows) for rows in arrivals(playbook, inputs).values()]
    left = [len(rows) for rows in inputs.values()]
    front = Front(len(places), 0, playbook.times.alignment, leading(playbook, inputs))
    steps: list[Step] = []

    def take() -> bool:
        cut = front.propose(0)
        if cut is None:
            return False
        front.release(cut, 0, places)
        steps.append(Step({places[i]: end for i, end in cut.ends.items()}, cut.watermark, cut.last))
        return True

    for counts in [*deliveries, [ALL] * len(places)]:
        for index, count in enumerate(counts):
            for arrival in islice(coming[index], count):
                front.add(arrival)
                left[index] -= 1
        for index, rest in enumerate(left):
            if not rest:
                front.proven_idle(index, front.latest())
        take()
    front.finish_at([rows[-1][0] + 1 if rows else 0 for rows in inputs.values()])
    while take():
        pass
    return steps


def leading(playbook: Playbook, inputs: Inputs) -> int:
    """How many of the places hold reference data; they come first."""
    return sum(place.rpartition("/")[0] in playbook.reference.values() for place in inputs)


class Tables(NamedTuple):
    """The tables of the identity graph."""

    owners: dict[str, str]
    clusters: dict[str, Cluster]
    retired: dict[str, str]
    evidence: dict[str, Evidence]


def identities(playbook: Playbook, tables: Tables) -> Identities:
    return Identities(playbook.scope, playbook.policies, *tables)


MOST_DECODED = 20_000  # customers


class Store(dict[str, Record]):
    """A shard's customers. Only what was touched is written, as in a worker, and what was written may be
    forgotten."""

    def __init__(self, saved: Mapping[str, bytes]) -> None:
        super().__init__({id: records.decode(id, raw) for id, raw in saved.items()})
        self.saved = dict(saved)
        self.on_drop: Callable[[Record], None] = lambda _: None
        self._dirty: set[str] = set()

    def get(self, id: str, default: Any = None, /) -> Any:
        found = super().get(id)
        if found is None and id in self.saved and id not in self._dirty:
            found = self[id] = self.stored(id)
        return default if found is None else found

    def forget(self) -> None:
        """Nothing must be unwritten."""
        if len(self) > MOST_DECODED:
            self.clear()

    def everybody(self) -> dict[str, Record]:
        """Likewise."""
        return {id: records.decode(id, raw) for id, raw in self.saved.items()}

    def stored(self, id: str) -> Record | None:
        return records.decode(id, self.saved[id]) if id in self.saved else None

    def touch(self, record: Record) -> None:
        self[record.id] = record
        self._dirty.add(record.id)

    def drop(self, id: str) -> None:
        self.on_drop(self.get(id, Record(id)))
        self.pop(id, None)
        self._dirty.add(id)

    def write(self, part: int = 1) -> list[str]:
        """Write every `part`-th of what was changed; their ids."""
        ids = sorted(self._dirty)[::part]
        for id in ids:
            if id in self:
                self.saved[id] = self[id].encode()
            else:
                self.saved.pop(id, None)
        self._dirty.difference_update(ids)
        return ids


class KnownTable(dict[str, Known]):
    """A shard's reference data, saved whenever it is written."""

    def __init__(self, saved: Mapping[str, bytes]) -> None:
        super().__init__({key: _known.decode(raw) for key, raw in saved.items()})
        self.saved = dict(saved)

    def __setitem__(self, key: str, known: Known) -> None:
        super().__setitem__(key, known)
        self.saved[key] = msgspec.msgpack.encode(known)


class Shard:
    """One Customers with what a worker keeps for it: records, reference data, pending alarms, counts.
    `unwritten`: so many packs may go by before all that they changed is written."""

    def __init__(
        self, playbook: Playbook, number: int, snapshot: bytes | None = None, unwritten: int = 0
    ) -> None:
        saved, alarms, counts, known, models = _shard.decode(snapshot) if snapshot else ({}, [], {}, {}, [])
        self.store = Store(saved)
        self.known = KnownTable(known)
        self.alarms: set[Alarm] = set(alarms)
        self.timers = Timers(lambda low, high: [a for a in sorted(self.alarms) if low <= a[0] < high])
        self.customers = Customers(
            playbook, number, self.store, self.timers, self.known, counts, models=models
        )
        self.inbox: list[Pack] = []
        self._unwritten, self._packs = unwritten, 0

    def apply(self, pack: Pack) -> list[Effect]:
        found = self.customers.apply(pack)
        self._packs += 1
        if self._packs > self._unwritten:
            self.write()
        else:
            self.customers.written(self.store.write(part=3))
        return found

    def write(self) -> None:
        self._packs = 0
        self.store.write()
        self.customers.all_written()
        for alarm, there in self.timers.changes.items():
            (self.alarms.add if there else self.alarms.discard)(alarm)
        self.timers.changes.clear()

    def encode(self) -> bytes:
        self.write()
        return msgspec.msgpack.encode(
            (
                self.store.saved,
                sorted(self.alarms),
                self.customers.counts,
                self.known.saved,
                self.customers.models,
            )
        )


_shard = msgspec.msgpack.Decoder(tuple[dict[str, bytes], list[Alarm], Counts, dict[str, bytes], list[Taken]])
_known = msgspec.msgpack.Decoder(Known)
_tables = msgspec.msgpack.Decoder(Tables)
_progress = msgspec.msgpack.Decoder(Progress)


class Snapshot(NamedTuple):
    """Everything that survives a crash, as bytes, and how many effects were out by then."""

    cuts: int
    offsets: list[int]
    highest: list[int]
    watermark: int
    tables: bytes
    progress: bytes
    shards: list[bytes]
    effects: int


class Simulation:
    """The pipeline. `cut` runs one step; `finish` brings the moves home; `outcome` is what came of it.

    `effects` has every effect by id. `twice` lists ids that came again without a crash, and `altered`
    those that came again with another body: both are always empty when all is well.
    """

    def __init__(
        self, playbook: Playbook, inputs: Inputs, shards: int = 3, internals: int = 2, unwritten: int = 0,
        models: Models = NO_MODELS,
    ) -> None:  # fmt: skip
        self.playbook = playbook
        self.inputs = inputs
        self.internals = internals
        self.unwritten = unwritten
        self.models = models
        self.places = [*inputs, *(f"{playbook.scope}.moves/{i}" for i in range(internals))]
        self.places.append(models_place(playbook))
        self.moves: list[list[bytes]] = [[] for _ in range(internals)]
        self.effects: dict[str, Effect] = {}
        self.twice: list[str] = []
        self.altered: list[str] = []
        self.cuts: list[Cut] = []
        self._arrivals = arrivals(playbook, inputs)
        self._repeating = False
        self.front = Front(len(inputs), internals + 1, playbook.times.alignment, leading(playbook, inputs))
        self._start(Tables({}, {}, {}, {}), Progress(received={}), [None] * shards)

    def _start(self, tables: Tables, progress: Progress, shards: Sequence[bytes | None]) -> None:
        self.tables = tables
        self.resolver = Resolver(identities(self.playbook, tables), len(shards), progress)
        self.shards = [Shard(self.playbook, i, snapshot, self.unwritten) for i, snapshot in enumerate(shards)]
        for index, place in enumerate(self.inputs):
            for arrival in self._arrivals[place]:
                if arrival[2] >= self.front.offsets[index]:
                    self.front.add(arrival)
        last = len(self.places) - 1
        for rows in self.models.values():
            for offset, raw in rows:
                if offset >= self.front.offsets[last]:
                    self.front.add((INTERNAL_TIME, last, offset, MODEL, 0, None, raw))
        for index, log in enumerate(self.moves):
            for offset in range(self.front.offsets[len(self.inputs) + index], len(log)):
                self._deliver(index, offset)

    def cut(self, step: Step, moves: Sequence[int] = (), lagging: Collection[int] = ()) -> None:
        """One cut. `moves`: how many come back, per internal partition (all of them when not given);
        `lagging`: shards that leave it in their inbox for now, as inside an epoch."""
        ends = {self.places.index(place): end for place, end in step.ends.items()}
        for index, log in enumerate(self.moves):
            place = len(self.inputs) + index
            start = self.front.offsets[place]
            back = moves[index % len(moves)] if moves else ALL
            if (end := min(len(log), start + back)) > start:
                ends[place] = end
        rows = self.models.get(self.front.number + 1)
        if rows:
            ends[len(self.places) - 1] = rows[-1][0] + 1
        cut = Cut(0, self.front.number + 1, step.watermark, ends, len(ends), step.last)
        self.cuts.append(cut)
        self._run(cut, lagging)

    def finish(self) -> Simulation:
        """Cuts without channel events until no move is under way."""
        self._catch_up(())
        for _ in range(2 + self.resolver.progress.moves):
            self.cut(Step({}, self.front.watermark))
        assert not self.resolver.progress.open_moves, "moves that never came back"
        return self

    def snapshot(self) -> Snapshot:
        """As at the end of an epoch: every shard has caught up."""
        self._catch_up(())
        front = self.front
        return Snapshot(
            len(self.cuts), list(front.offsets), list(front.highest), front.watermark,
            msgspec.msgpack.encode(self.tables), msgspec.msgpack.encode(self.resolver.progress),
            [shard.encode() for shard in self.shards], len(self.effects),
        )  # fmt: skip

    def crash(self, back_to: Snapshot, uncommitted: bool = False) -> None:
        """Lose all memory, start from the snapshot, repeat the recorded cuts that follow it.
        `uncommitted`: outputs since then are lost too, but for moves that a recorded cut names."""
        if uncommitted:
            kept = set(list(self.effects)[: back_to.effects])
            for index, log in enumerate(self.moves):
                named = self.front.offsets[len(self.inputs) + index]
                kept |= {_move_id(raw) for raw in log[:named]}
                self.moves[index] = [raw for raw in log if _move_id(raw) in kept]
            self.effects = {id: effect for id, effect in self.effects.items() if id in kept}
        lead = leading(self.playbook, self.inputs)
        self.front = Front(len(self.inputs), self.internals + 1, self.playbook.times.alignment, lead)
        self.front.resume(back_to.offsets, back_to.highest, back_to.cuts, back_to.watermark)
        self._start(_tables.decode(back_to.tables), _progress.decode(back_to.progress), back_to.shards)
        self._repeating = True
        for cut in self.cuts[back_to.cuts :]:
            assert self.front.has(cut)
            self._run(cut, ())
        self._repeating = False

    def crashing(self, steps: Iterable[Step], customer: str) -> Iterator[Record]:
        """Run these, each with a crash behind it; the record of `customer` each time."""
        for step in steps:
            self.cut(step)
            self.crash(self.snapshot())
            (record,) = (shard.store[customer] for shard in self.shards if customer in shard.store)
            yield record

    def outcome(self) -> Outcome:
        for shard in self.shards:
            shard.write()
        found = {id: record for shard in self.shards for id, record in shard.store.everybody().items()}
        return Outcome(self.playbook, self.effects.values(), found)

    def _run(self, cut: Cut, lagging: Collection[int]) -> None:
        self._hand_out(self.resolver.apply(self.front.release(cut, 0, self.places)))
        self._catch_up(lagging)

    def _hand_out(self, packs: list[Pack]) -> None:
        for shard, pack in zip(self.shards, packs, strict=True):
            shard.inbox.append(pack)

    def _catch_up(self, lagging: Collection[int]) -> None:
        for number, shard in enumerate(self.shards):
            if number not in lagging:
                packs, shard.inbox = shard.inbox, []
                for pack in packs:
                    for effect in shard.apply(pack):
                        self._collect(effect)

    def _collect(self, effect: Effect) -> None:
        old = self.effects.get(effect.id)
        if old is not None:
            if not self._repeating:
                self.twice.append(effect.id)
            if (old.topic, old.key, old.body) != (effect.topic, effect.key, effect.body):
                self.altered.append(effect.id)
            return
        self.effects[effect.id] = effect
        if effect.topic == topics.MOVES:
            index = _decode_move(effect.body).number % self.internals
            self.moves[index].append(effect.body)
            self._deliver(index, len(self.moves[index]) - 1)

    def _deliver(self, index: int, offset: int) -> None:
        raw = self.moves[index][offset]
        self.front.add((INTERNAL_TIME, len(self.inputs) + index, offset, MOVE, 0, None, raw))


_decode_move = msgspec.msgpack.Decoder(MoveBody).decode


def _move_id(raw: bytes) -> str:
    return f"move:{_decode_move(raw).number}"
