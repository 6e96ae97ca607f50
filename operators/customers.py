"""The fold of a customer shard: cut by cut, operations in, effects out.

Operations are those of `operators/operations.py`. Operations on a customer that
waits for a move are held, all of them, in their order, each with the watermarks of its cut; timers
stand still meanwhile. When the move arrives they are applied as if it had taken no time at all.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any, Protocol
from zlib import crc32

import msgspec

from operators import dedupe, effects, features, profiles, records
from operators.churn.published import Incompatible
from operators.counts import Counts, Tally
from operators.effects import Effect
from operators.enrichment import Enrichment
from operators.events import BadEvent, Reader
from operators.intents import Intents, alarm_of
from operators.journal import FIRE, Done, Journal
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
    RETIRE,
    TALLY,
    MoveBody,
    Operation,
    Pack,
)
from operators.parts import Core, Measured, Queue
from operators.playbook import Playbook
from operators.records import Record
from operators.reference import Reference, Table, key_of
from operators.scores import Foresight
from operators.served import Taken
from operators.timers import Timers
from schemas import topics
from schemas.inbound import ConsentUpdated

TIMERS_PER_CUT = 5_000


class Records(Protocol):
    """The shard's customers: a dict in tests, RocksDB behind a cache in a worker."""

    def get(self, id: str, /) -> Record | None: ...
    def stored(self, id: str, /) -> Record | None:
        """As it was written back last."""

    def touch(self, record: Record, /) -> None:
        """The record is new or changed; it has to be written."""

    def drop(self, id: str, /) -> None: ...


class _Scratch(dict[str, Record]):
    """Records of an attempt, which nobody writes."""

    def stored(self, id: str, /) -> Record | None:
        raise NotImplementedError

    def touch(self, record: Record, /) -> None:
        self[record.id] = record

    def drop(self, id: str, /) -> None:
        self.pop(id, None)


class Customers:
    """One shard's customers. `apply(pack)` returns the effects of a cut; `written` and `all_written`
    tell it which records have been written back.

    `playbook` is the one that was given, with the models that score here.
    Of output topics that are not among those `written` (codes) it may leave effects out.

    What makes a step raise is put aside with the error, and everything is as if it had not come. An error
    of the type `fatal`, which says that the state cannot be read, is nobody's fault and ends everything.
    """

    def __init__(
        self,
        playbook: Playbook,
        shard: int,
        records_: Records,
        timers: Timers,
        known: Table,
        counts: Counts | None = None,
        fatal: tuple[type[Exception], ...] = (),
        models: Iterable[Taken] = (),
        shown: dict[int, int] | None = None,
        written: Container[int] = range(len(topics.OUTPUTS)),
    ) -> None:
        self._foresight = Foresight(playbook, models) if playbook.foretold else None
        playbook = self._foresight.playbook if self._foresight is not None else playbook
        self.playbook = playbook
        self._shard = shard
        self._records = records_
        self._timers = timers
        self._plan = playbook.plan
        self._kept = playbook.kept
        self._intents = Intents(playbook)
        self._window = playbook.times.dedupe
        self._fatal = fatal
        self._known = known
        self._reference, self._reader = self._enriched(known)
        self.tally = Tally(counts if counts is not None else {})
        self.counts = self.tally.counts
        self.repeated_moves = 0
        self._effects: list[Effect] = []
        self._profiles: dict[str, Effect] = {}  # of this cut, by customer
        self._profile_every = playbook.profiles.every if playbook.profiles else 0
        self._profiled = topics.PROFILES in written
        self._topics: dict[str, int] = {}  # place -> checksum of its topic
        self._journal = Journal(FILL, REFERENCE)
        # Generation of features -> those after this watermark know it.
        self.shown = shown if shown is not None else {}
        self._drained: Operation | None = None  # the held operation that is being applied
        self._drained_cut = 0
        self._first = self._number = 0  # the first cut that came, and this one

    def _enriched(self, known: Table) -> tuple[Reference, Reader]:
        reference, kinds = Reference(known), self.playbook.reference
        enrichment = Enrichment(reference, kinds, self.playbook.currency) if kinds else None
        return reference, self._reads(enrichment)

    def _reads(self, enrichment: Enrichment | None) -> Reader:
        return Reader(self.playbook, enrichment)

    def apply(self, pack: Pack) -> list[Effect]:
        intents = self._intents
        out = self._effects = intents.effects = []
        intents.arrived = pack.arrived
        before, watermark = pack.before, pack.watermark
        records_, tally = self._records, self.tally
        self._number = pack.number
        if self.playbook.later:
            self._first = self._first or pack.number
            self._hide(before)
        for op in pack.operations:
            code = op[0]
            if code == EVENT:
                row = tally.row(op[3])
                row["received"] += 1
                mine = records_.get(op[1]) or Record(op[1])
                mark = len(out)
                try:
                    if not mine.has("queue"):
                        self._event(mine, op, before, watermark, row)
                    else:
                        self._operate(mine, op, before, watermark)
                except self._fatal:
                    raise
                except Exception as error:
                    self._undo(pack, op, error, mark, None)
            elif code <= FILL:
                mine = records_.get(op[1]) or Record(op[1])
                mark, counts = len(out), tally.copied()
                try:
                    self._operate(mine, op, before, watermark)
                except self._fatal:
                    raise
                except Exception as error:
                    self._undo(pack, op, error, mark, counts)
            elif code == REFERENCE:
                self._journal.keep(key_of(op[5], op[6]), self._known)
                learn(self._reference, op)
                if op[3] == self._shard:  # every shard is told, one counts
                    row = tally.row(op[1])
                    row["received"] += 1
                    row["accepted"] += 1
            elif code == FILLED:
                self.shown.setdefault(op[1], watermark)
            elif code == MODEL:
                self._take(op)
            elif code == BAD:
                tally.row(op[1])["received"] += 1
                _, place, offset, arrived, stage, reason, detail, raw = op
                self._reject(place, offset, -1, arrived, stage, reason, detail, raw)
            elif code == PASS:
                out.append(Effect(*op[1]))
            elif code == TALLY:
                out.append(effects.ledger(pack.number, "in", op[1]))
        intents.arrived = pack.arrived
        due = self._timers.due(watermark, TIMERS_PER_CUT)
        for customer in due:
            record = records_.get(customer)
            if record is not None:
                self._fire_due(record, watermark)
        self._journal.add(pack, due)
        if self._profiles:
            out += self._profiles.values()
            self._profiles = {}
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
                    arrived = self._intents.arrived
                    self._effects.append(effects.dead_model(place, offset, arrived, str(error), raw))

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
        id, poison = op[1], self._journal.poison
        earlier, now = self._journal.of(id, pack, op)
        while True:
            culprit, self._drained = self._drained or op, None
            name = _name(culprit)
            if name is None or name in poison:
                raise error
            poison[name] = f"{type(error).__name__}: {error}"
            del self._effects[mark:]
            if counts is not None:
                self.tally.restore(counts)
            record = self._again(id, earlier, now)
            try:
                self._operate(record, op, pack.before, pack.watermark)
                return
            except self._fatal:
                raise
            except Exception as next_error:
                error = next_error

    def _again(self, id: str, earlier: list[Done], now: list[Done]) -> Record:
        """The customer's record, made in its place from what is stored, by what was done `earlier` and in
        the cut that is `now` worked on."""
        found = _Scratch()
        stored = self._records.stored(id)
        if stored is not None:
            found[id] = stored
        told = self._on_the_side(id, found, [earlier, now])
        self._profiles.pop(id, None)
        self._profiles.update(told)
        if id in found:
            self._records.touch(found[id])
            self._timers.reset(id, -1 if _waiting(found[id]) else alarm_of(found[id].part("core")))
        else:
            self._records.drop(id)
            self._timers.reset(id, -1)
        return found.get(id) or Record(id)

    def _on_the_side(self, id: str, found: _Scratch, done: list[list[Done]]) -> dict[str, Effect]:
        """Do all of `done` again to the record of `id` in `found`, and nothing else. What comes of it is lost
        but for the profiles of the last of `done`."""
        shard = self._records, self._timers, self.tally, self._intents, self._effects, self._profiles
        known = self._reference, self._reader, self.repeated_moves
        self._records, self._timers, self.tally = found, Timers(lambda low, high: ()), Tally({})
        self._intents = Intents(self.playbook)
        self._effects = self._intents.effects
        if self.playbook.reference:
            self._reference, self._reader = self._enriched(self._journal.known(self._known))
        try:
            for part in done:
                self._profiles = {}
                for op, before, watermark in part:
                    record = found.get(id) or Record(id)
                    if op[0] == FIRE:
                        self._fire_due(record, watermark)
                    elif op[0] == REFERENCE:
                        learn(self._reference, op)
                    else:
                        self._operate(record, op, before, watermark)
            return self._profiles
        finally:
            self._records, self._timers, self.tally, self._intents, self._effects, self._profiles = shard
            self._reference, self._reader, self.repeated_moves = known

    # --- one operation, now or held ---------------------------------------------------------------

    def _operate(self, record: Record, op: Operation, before: int, watermark: int) -> None:
        if op[0] == MOVED:
            self._arrive(record, op[2], op[3], before, watermark)
            return
        if _waiting(record):
            queue: Queue = record.part("queue")
            if op[0] == EVENT:
                self.tally.row(op[3])["held"] += 1
                if self.playbook.reference:  # as it is known now, however long the wait
                    op = (*op, self._reader.complete(op[7], op[2]))
            queue.held.append((op, before, watermark))
            queue.cuts.append(self._number)
            self._records.touch(record)
            return
        self._apply(record, op, before, watermark)

    def _apply(self, record: Record, op: Operation, before: int, watermark: int) -> None:
        """One operation on a customer that waits for nothing."""
        code = op[0]
        if code == FILL:
            features.merge(record.part("m"), _decode_measured(op[3]), self._plan)
            self._records.touch(record)
        elif code == EVENT:
            error = self._journal.poison.get((op[3], op[4]))
            if error is None:
                self._event(record, op, before, watermark, self.tally.row(op[3]))
            else:
                self._reject(op[3], op[4], op[2], op[5], "customer", "failed", error, op[7])
        elif code == RETIRE:
            self._fire_before(record, before, watermark, op[4])
            self._retire(record, op[2], op[3], op[4])
        else:
            self._fire_before(record, before, watermark, op[3])
            self._expect(record, op[2], max(before, min(op[3], watermark)), op[3])

    def _retire(self, record: Record, winner: str, number: int, at: int) -> None:
        if self._profile_every:
            self._profiles[record.id] = profiles.merged(record, winner, at, self._intents.arrived)
        alarm = alarm_of(record.part("core"))
        record.drop("queue")
        body = MoveBody(number, record.id, winner, record.encode())
        self._effects.append(effects.move(number, winner, msgspec.msgpack.encode(body)))
        self._timers.set(record.id, alarm, -1)
        self._records.drop(record.id)

    def _expect(self, record: Record, number: int, decided: int, at: int) -> None:
        """A merge by an event at `at`. `decided`: everything due by then is decided, here and where the move
        comes from."""
        queue: Queue = record.part("queue")
        early = queue.early.pop(number, None)
        if early is None:
            # Its timers stand still from here: the alarm comes back when the queue has drained.
            self._timers.set(record.id, alarm_of(record.part("core")), -1)
            queue.waiting, queue.decided, queue.at = number, decided, at
        else:
            self._absorb(record, number, early, decided, at)
        self._records.touch(record)

    def _arrive(self, record: Record, number: int, payload: bytes, before: int, watermark: int) -> None:
        queue: Queue = record.part("queue")
        if queue.waiting == number:
            queue.waiting = 0
            self._absorb(record, number, payload, queue.decided, queue.at, armed=False)
            self._drain(record, queue, before, watermark)
            if self.playbook.later:
                self._hide(before)
        elif any(op[0] == EXPECT and op[2] == number for op, _, _ in queue.held):
            queue.early[number] = payload
            self._records.touch(record)
        else:
            self.repeated_moves += 1

    def _absorb(
        self, record: Record, number: int, payload: bytes, decided: int, at: int, armed: bool = True
    ) -> None:
        core: Core = record.part("core")
        old = alarm_of(core) if armed else -1
        error = self._journal.poison.get(number)
        if error is not None:
            self._effects.append(effects.dead_move(number, record.id, self._intents.arrived, error, payload))
            self._timers.set(record.id, old, alarm_of(core))
            self._records.touch(record)
            return
        theirs = records.decode(record.id, payload)
        records.merge(record, theirs, self._kept)
        self._intents.settle(record, decided, f"move:{number}")
        if self._foresight is not None:
            self._foresight.merged(self._intents, record, record.part("core"), at, f"move:{number}")
        if self._profile_every:
            profiles.plan(record.part("core"), decided, self._profile_every)
        self._timers.set(record.id, old, alarm_of(record.part("core")))
        self._records.touch(record)

    def _drain(self, record: Record, queue: Queue, before: int, watermark: int) -> None:
        """Apply what was held, with the watermarks it came with, until the next move is awaited."""
        held, queue.held = queue.held, []
        cuts, queue.cuts = queue.cuts, []
        for done, (op, low, high) in enumerate(held, 1):
            if self.playbook.later:
                self._hide(low)
            self._fire_before(record, low, low, low)
            if op[0] == EVENT:
                self.tally.row(op[3])["held"] -= 1
            self._drained, self._drained_cut = op, cuts[done - 1] if done <= len(cuts) else 0
            self._apply(record, op, low, high)
            self._drained = None
            if op[0] == RETIRE:
                return
            if queue.waiting:
                queue.held, queue.cuts = held[done:], cuts[done:]
                return
        if self.playbook.later:
            self._hide(before)
        self._fire_before(record, before, before, before)
        if not queue.early:
            record.drop("queue")

    # --- an event ------------------------------------------------------------------------------------

    def _event(self, record: Record, op: Operation, before: int, watermark: int, row: dict[str, int]) -> None:
        completed = len(op) > 8  # it was held, see `_operate`
        _, _, at, place, offset, arrived, _, raw = op[:8] if completed else op
        try:
            message, form, values, signs, consent, addresses, news = self._reader.read(
                op[8] if completed else raw, at, place, completed
            )
        except BadEvent as error:
            self._reject(place, offset, at, arrived, "event", error.reason, str(error), raw)
            return
        except self._fatal:
            raise
        except Exception as error:
            self._reject(
                place, offset, at, arrived, "event", "failed", f"{type(error).__name__}: {error}", raw
            )
            return
        core: Core = record.part("core")
        alarm = alarm_of(core)
        if alarm >= 0 and (alarm <= before or (alarm <= at and alarm <= watermark)):
            self._fire_before(record, before, watermark, at)
            alarm = alarm_of(core)
        topic = self._topics.get(place)
        if topic is None:
            topic = self._topics[place] = crc32(place.rpartition("/")[0].encode())
        known = dedupe.note(
            record.part("seen"), crc32(message.encode(), topic), crc32(raw) or 1, at, before, self._window
        )
        if known is dedupe.SAME:
            row["duplicate"] += 1
            return
        self._records.touch(record)
        if core.first_seen < 0 or at < core.first_seen:
            core.first_seen = at
        if at > core.last_seen:
            core.last_seen = at
        if consent is not None:
            _consent(core, consent, at)
        if values is not None and self._drained is not None and self.playbook.generations:
            form, values = self._without_later(form, values)
        if values is not None:
            features.add(record.part("m"), self._plan, form, values)
        if addresses:
            _addresses(core, addresses)
        if self._profile_every and profiles.ALARM not in core.alarms and (values or consent):
            profiles.plan(core, max(at, before), self._profile_every)
        intents = self._intents
        intents.arrived = arrived
        if signs:
            intents.react(record, core, signs, at, message, before)
        if consent is not None and not consent.granted:
            intents.cancel(record, at, message, before)
        if news and self._foresight is not None:
            self._foresight.event(intents, record, core, news, at, message, before)
        if core.alarms or alarm >= 0:
            self._rearm(record, alarm)
        row["accepted"] += 1
        if known is dedupe.OTHER:
            row["conflicting"] += 1
            self._effects.append(effects.conflict(record.id, place, offset, at, arrived, message))

    def _without_later(self, form: str, values: list[Any]) -> tuple[str, list[Any] | None]:
        """Of an event that was held since before features were added, what is not filled from history."""
        cut, first, generations = self._drained_cut, self._first, self.playbook.generations
        later = {str(it) for it, last in generations.items() if cut <= (last if last >= 0 else first - 1)}
        slots = form.split(",")
        kept = [n for n, slot in enumerate(slots) if slot.partition("/")[2] not in later]
        row = [values[0], *(values[n + 1] for n in kept)]
        return ",".join(slots[n] for n in kept), row if any(it is not None for it in row[1:]) else None

    def _hide(self, before: int) -> None:
        """Features whose past is not counted yet cannot be told. What was held for a move sees them as it
        would have when it came; so it goes by the watermark `before` its cut."""
        hidden = self.playbook.hidden
        hidden.clear()
        for generation, names in self.playbook.later.items():
            shown = self.shown.get(generation)
            if shown is None or before <= shown:
                hidden |= names

    def _fire_before(self, record: Record, before: int, watermark: int, at: int) -> None:
        """What was due before an event at `at` is decided before the event is applied."""
        core: Core = record.part("core")
        if core.alarms:
            limit = max(before, min(at, watermark))
            if alarm_of(core) <= limit:
                self._fire(record, limit, max(before, watermark))

    def _fire_due(self, record: Record, watermark: int) -> None:
        """The alarm of this customer went off."""
        if not _waiting(record):
            self._fire(record, watermark, watermark, was_set=False)

    def _fire(self, record: Record, limit: int, watermark: int, was_set: bool = True) -> None:
        """Everything due by `limit`. `was_set`: the customer's timer has not gone off."""
        core: Core = record.part("core")
        alarm = alarm_of(core)
        if self._foresight is not None:
            while (found := self._foresight.first_due(core, limit)) is not None:
                due, scores = found
                self._decide_due(record, core, due - 1, watermark)  # it may need the score of then
                scores.due(self._intents, record, core, due, watermark)
        self._decide_due(record, core, limit, watermark)
        self._rearm(record, alarm, was_set)
        self._records.touch(record)

    def _decide_due(self, record: Record, core: Core, limit: int, watermark: int) -> None:
        due_profile = core.alarms.get(profiles.ALARM, limit + 1)
        self._intents.fire(record, limit, watermark)
        if due_profile <= limit and self._profile_every:
            profiles.told_of(record)
            if not self._profiled:
                return
            arrived = self._intents.arrived
            try:
                self._profiles[record.id] = profiles.profile(self.playbook, record, due_profile, arrived)
            except Exception as error:
                self._effects.append(
                    effects.dead_part(record.id, "profile", due_profile, arrived, error, b"")
                )

    def _rearm(self, record: Record, old: int, was_set: bool = True) -> None:
        new = alarm_of(record.part("core"))
        if new != old or not was_set:
            self._timers.set(record.id, old, new)

    # --- what cannot be used -----------------------------------------------------------------------------

    def _reject(
        self, place: str, offset: int, at: int, arrived: int, stage: str, reason: str, detail: str, raw: bytes
    ) -> None:
        self.tally.row(place)["dead_lettered"] += 1
        self._effects.append(effects.dead_letter(place, offset, at, arrived, stage, reason, detail, raw))


_decode_measured = msgspec.msgpack.Decoder(Measured).decode


def _waiting(record: Record) -> bool:
    return record.has("queue") and record.part("queue").waiting != 0


def learn(reference: Reference, op: Operation) -> None:
    """What a record of reference data says."""
    _, place, offset, _, came, kind, id, at, fields = op
    reference.put(kind, id, at, fields, came, int(place.rpartition("/")[2]), offset)


def _consent(core: Core, consent: ConsentUpdated, at: int) -> None:
    name = f"{consent.purpose}/{consent.channel}"
    core.consents = records.CORE_MERGES["consents"](core.consents, {name: (at, consent.granted)})


def _name(op: Operation) -> Any:
    """What the journal calls an operation that can be left out, or None."""
    if op[0] == EVENT:
        return op[3], op[4]
    return op[2] if op[0] in (EXPECT, MOVED) else None


def _addresses(core: Core, found: Sequence[tuple[str, int]]) -> None:
    """Notes addresses and when they failed; a failure that names no address is of all of its kind."""
    for name, failed in found:
        if name.endswith(":"):
            core.addresses |= {
                known: max(failed, at) for known, at in core.addresses.items() if known.startswith(name)
            }
        elif failed > core.addresses.get(name, -2):
            core.addresses = records.CORE_MERGES["addresses"](core.addresses, {name: failed})
