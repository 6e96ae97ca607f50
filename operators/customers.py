"""A customer shard: cut by cut, operations in, effects out, whatever a single one of them does.

Operations are those of `operators/operations.py`; what one of them does is in `operators/customerfold.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any, Protocol

from operators import effects
from operators.churn.published import Incompatible
from operators.counts import Counts, Tally
from operators.customerfold import CustomerFold, Records, waits
from operators.effects import Effect
from operators.enrichment import Enrichment
from operators.events import Reader
from operators.intents import alarm_of
from operators.journal import FIRE, Cut, Done, Journal
from operators.operations import (
    BAD,
    EVENT,
    EXPECT,
    FILL,
    FILLED,
    LEDGER_EVERY,
    MODEL,
    MOVED,
    PASS,
    REFERENCE,
    TALLY,
    Operation,
    Pack,
)
from operators.playbook import Playbook
from operators.records import Record
from operators.reference import Reference, Table, key_of
from operators.scores import Foresight
from operators.served import Taken
from operators.timers import Timers
from schemas import topics

TIMERS_PER_CUT = 5_000


class Kept(Records, Protocol):
    """The shard's customers: a dict in tests, RocksDB behind a cache in a worker."""

    def get(self, id: str, /) -> Record | None: ...
    def stored(self, id: str, /) -> Record | None:
        """As it was written back last."""


class Scratch(dict[str, Record]):
    """Records that nobody writes."""

    def touch(self, record: Record, /) -> None:
        self[record.id] = record

    def drop(self, id: str, /) -> None:
        self.pop(id, None)


class Customers:
    """One shard's customers. `apply(pack)` returns the effects of a cut; `written` and `all_written`
    tell it which records have been written back.

    `playbook` is the one that was given, with the models that score here. `foresight` and `reads` (what reads
    events, for an enrichment) are those of the playbook where none are given.
    Of output topics that are not among those `written` (codes) it may leave effects out.

    What makes a step raise is put aside with the error, and everything is as if it had not come. An error
    of the type `fatal`, which says that the state cannot be read, is nobody's fault and ends everything.
    """

    def __init__(
        self,
        playbook: Playbook,
        shard: int,
        records_: Kept,
        timers: Timers,
        known: Table,
        counts: Counts | None = None,
        fatal: tuple[type[Exception], ...] = (),
        models: Iterable[Taken] = (),
        shown: dict[int, int] | None = None,
        written: Container[int] = range(len(topics.OUTPUTS)),
        foresight: Foresight | None = None,
        reads: Callable[[Enrichment | None], Reader] | None = None,
    ) -> None:
        if foresight is None and playbook.foretold:
            foresight = Foresight(playbook, models, written)
        self._foresight = foresight
        self.playbook = playbook if foresight is None else foresight.playbook
        self._shard = shard
        self._records = records_
        self._timers = timers
        self._fatal = fatal
        self._known = known
        self._reads = reads
        self._profiled = topics.PROFILES in written
        self.tally = Tally(counts if counts is not None else {})
        # Generation of features -> those after this watermark know it.
        self.shown = shown if shown is not None else {}
        self._journal = Journal(FILL, REFERENCE)
        self._reference = Reference(known)
        self._fold = self._folding(self._reference, records_, timers, self.tally)

    def _folding(self, reference: Reference, records_: Records, timers: Timers, tally: Tally) -> CustomerFold:
        kinds = self.playbook.reference
        enrichment = Enrichment(reference, kinds, self.playbook.currency) if kinds else None
        reader = Reader(self.playbook, enrichment) if self._reads is None else self._reads(enrichment)
        return CustomerFold(
            self.playbook, self._foresight, reader, records_, timers, tally, self._journal.poison, self.shown,
            self._profiled, self._fatal,
        )  # fmt: skip

    @property
    def counts(self) -> Counts:
        return self.tally.counts

    @property
    def repeated_moves(self) -> int:
        return self._fold.repeated_moves

    def apply(self, pack: Pack) -> list[Effect]:
        fold = self._fold
        before, watermark = pack.before, pack.watermark
        out = fold.begin(pack.number, before, pack.arrived)
        records_, tally = self._records, self.tally
        for op in pack.operations:
            code = op[0]
            if code == EVENT:
                row = tally.row(op[3])
                row.received += 1
                mine = records_.get(op[1]) or Record(op[1])
                mark = len(out)
                try:
                    if not mine.has("queue"):
                        fold.event(mine, op, before, watermark, row)
                    else:
                        fold.operate(mine, op, before, watermark)
                except self._fatal:
                    raise
                except Exception as error:
                    self._undo(pack, op, error, mark, None)
            elif code <= FILL:
                mine = records_.get(op[1]) or Record(op[1])
                mark, counts = len(out), tally.counts
                try:
                    fold.operate(mine, op, before, watermark)
                except self._fatal:
                    raise
                except Exception as error:
                    self._undo(pack, op, error, mark, counts)
            elif code == REFERENCE:
                self._journal.keep(key_of(op[5], op[6]), self._known)
                learn(self._reference, op)
                if op[3] == self._shard:  # every shard is told, one counts
                    row = tally.row(op[1])
                    row.received += 1
                    row.accepted += 1
            elif code == FILLED:
                self.shown.setdefault(op[1], watermark)
            elif code == MODEL:
                self._take(op)
            elif code == BAD:
                tally.row(op[1]).received += 1
                _, place, offset, arrived, stage, reason, detail, raw = op
                fold.reject(place, offset, -1, arrived, stage, reason, detail, raw)
            elif code == PASS:
                out.append(Effect(*op[1]))
            elif code == TALLY:
                out.append(effects.ledger(pack.number, "in", op[1]))
        fold.intents.arrived = pack.arrived
        due = self._timers.due(watermark, TIMERS_PER_CUT)
        for customer in due:
            record = records_.get(customer)
            if record is not None:
                fold.fire_due(record, watermark)
        self._journal.add(pack, due)
        if fold.profiles:
            out += fold.profiles.values()
            fold.profiles = {}
        if pack.number % LEDGER_EVERY == 0 or pack.last:
            out.append(effects.ledger(pack.number, f"shard-{self._shard}", self.counts))
        return out

    @property
    def models(self) -> list[Taken]:
        """The models that are taken, to be kept with the records."""
        return self._foresight.taken if self._foresight is not None else []

    def _take(self, op: Operation) -> None:
        """A model was published. One that cannot be used is said so once; what was there stays."""
        _, place, offset, owner, after, raw = op
        if self._foresight is not None:
            try:
                self._foresight.take(after, raw)
            except Incompatible as error:
                if owner == self._shard:
                    arrived = self._fold.intents.arrived
                    self._fold.effects.append(effects.dead_model(place, offset, arrived, str(error), raw))

    def take_up(self, record: Record) -> None:
        """A record that was only counted so far is scored from here on."""
        if self._foresight is not None:
            self._foresight.take_up(record)
            self._timers.set(record.id, -1, alarm_of(record.part("core")))

    def written(self, customers: Iterable[str]) -> None:
        """The records of these are in the store as they are now."""
        self._journal.wrote(customers)

    def all_written(self) -> None:
        """Every record is in the store as it is now."""
        self._journal.clear()

    # --- what made a step raise -------------------------------------------------------------------

    def _undo(self, pack: Pack, op: Operation, error: Exception, mark: int, counts: Counts | None) -> None:
        """Make the record again as it was before `op` raised, then do `op` without what is to blame: an
        event, which may have been held until `op`, or a move that cannot be merged."""
        id, poison, fold = op[1], self._journal.poison, self._fold
        earlier, now = self._journal.of(id, pack, op)
        while True:
            culprit, fold.drained = fold.drained or op, None
            name = _name(culprit)
            if name is None or name in poison:
                raise error
            poison[name] = f"{type(error).__name__}: {error}"
            del fold.effects[mark:]
            if counts is not None:
                self.tally.restore(counts)
            record = self._again(id, earlier, now)
            fold.hide(pack.before)
            try:
                fold.operate(record, op, pack.before, pack.watermark)
                return
            except self._fatal:
                raise
            except Exception as next_error:
                error = next_error

    def _again(self, id: str, earlier: list[Done], now: list[Done]) -> Record:
        """The customer's record, made in its place from what is stored, by what was done `earlier` and in
        the cut that is `now` worked on."""
        found = Scratch()
        stored = self._records.stored(id)
        if stored is not None:
            found[id] = stored
        told = self._on_the_side(id, found, [earlier, now])
        self._fold.profiles.pop(id, None)
        self._fold.profiles.update(told)
        if id in found:
            self._records.touch(found[id])
            self._timers.reset(id, -1 if waits(found[id]) else alarm_of(found[id].part("core")))
        else:
            self._records.drop(id)
            self._timers.reset(id, -1)
        return found.get(id) or Record(id)

    def _on_the_side(self, id: str, found: Scratch, done: list[list[Done]]) -> dict[str, Effect]:
        """Do all of `done` again to the record of `id` in `found`, and nothing else. What comes of it is lost
        but for the profiles of the last of `done`."""
        reference = Reference(self._journal.known(self._known))
        fold = self._folding(reference, found, Timers(lambda low, high: ()), Tally({}))
        fold.first = self._fold.first
        current: Cut | None = None
        for part in done:
            fold.profiles = {}
            for op, pack in part:
                if pack is not current:
                    fold.begin(pack.number, pack.before, pack.arrived)
                    current = pack
                record = found.get(id) or Record(id)
                if op[0] == FIRE:
                    fold.intents.arrived = pack.arrived
                    fold.fire_due(record, pack.watermark)
                elif op[0] == REFERENCE:
                    learn(reference, op)
                else:
                    fold.operate(record, op, pack.before, pack.watermark)
        return fold.profiles


def learn(reference: Reference, op: Operation) -> None:
    """What a record of reference data says."""
    _, place, offset, _, came, kind, id, at, fields = op
    reference.put(kind, id, at, fields, came, int(place.rpartition("/")[2]), offset)


def _name(op: Operation) -> Any:
    """What the journal calls an operation that can be left out, or None."""
    if op[0] == EVENT:
        return op[3], op[4]
    return op[2] if op[0] in (EXPECT, MOVED) else None
