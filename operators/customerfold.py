"""What one operation does to the record of its customer, and what follows from it.

Operations on a customer that waits for a move are held, all of them, in their order, each with the
watermarks of its cut; timers stand still meanwhile. When the move arrives they are applied as if it had
taken no time at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol
from zlib import crc32

import msgspec

from operators import effects, features, profiles, records
from operators.counts import Row, Tally
from operators.dedupe import OTHER, SAME, note
from operators.effects import Effect
from operators.events import BadEvent, Reader
from operators.intents import Intents, alarm_of
from operators.operations import EVENT, EXPECT, FILL, MOVED, RETIRE, MoveBody, Operation
from operators.parts import Core, Measured, Queue
from operators.playbook import Playbook
from operators.records import Record
from operators.scores import Foresight
from operators.timers import Timers
from schemas.inbound import ConsentUpdated

_checksum: Final = crc32  # what is final is not looked up by its name


class Records(Protocol):
    """Where records go."""

    def touch(self, record: Record, /) -> None:
        """The record is new or changed; it has to be written."""

    def drop(self, id: str, /) -> None: ...


class CustomerFold:
    """Does operations, one by one. What comes of them is added to `effects`, which begin anew with a cut, and
    to `profiles`, by customer, of which whoever sends them takes the last.

    `poison` has the events and moves that are left out (see `operators/journal.py`), `shown` the generations
    of features that can be told, each with the watermark after which it can. `profiled`: profiles are wanted.
    An error of the type `fatal` is passed on. `first`: the number of the first cut that came.
    """

    def __init__(
        self,
        playbook: Playbook,
        foresight: Foresight | None,
        reader: Reader,
        records_: Records,
        timers: Timers,
        tally: Tally,
        poison: Mapping[Any, str],
        shown: Mapping[int, int],
        profiled: bool,
        fatal: tuple[type[Exception], ...],
    ) -> None:
        self.playbook = playbook
        self.reader = reader
        self.tally = tally
        self.intents = Intents(playbook)
        self.effects: list[Effect] = self.intents.effects
        self.profiles: dict[str, Effect] = {}
        self.drained: Operation | None = None  # the held operation that is being applied
        self.repeated_moves = 0
        self._foresight = foresight
        self._records = records_
        self._timers = timers
        self._poison = poison
        self._shown = shown
        self._profiled = profiled
        self._fatal = fatal
        self._plan = playbook.plan
        self._kept = playbook.kept
        self._window = playbook.times.dedupe
        self._profile_every = playbook.profiles.every if playbook.profiles else 0
        self._topics: dict[str, int] = {}  # place -> checksum of its topic
        self.first = self._number = 0
        self._drained_cut = 0

    def begin(self, number: int, before: int, arrived: int) -> list[Effect]:
        """A cut begins; its effects will be in the list that is returned."""
        self.effects = self.intents.effects = []
        self.intents.arrived = arrived
        self._number = number
        if self.playbook.later:
            self.first = self.first or number
            self.hide(before)
        return self.effects

    def operate(self, record: Record, op: Operation, before: int, watermark: int) -> None:
        if op[0] == MOVED:
            self._arrive(record, op[2], op[3], before, watermark)
            return
        if waits(record):
            queue: Queue = record.part("queue")
            if op[0] == EVENT:
                self.tally.row(op[3]).held += 1
                if self.playbook.reference:  # as it is known now, however long the wait
                    op = (*op, self.reader.complete(op[7], op[2]))
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
            error = self._poison.get((op[3], op[4]))
            if error is None:
                self.event(record, op, before, watermark, self.tally.row(op[3]))
            else:
                self.reject(op[3], op[4], op[2], op[5], "customer", "failed", error, op[7])
        elif code == RETIRE:
            self._fire_before(record, before, watermark, op[4])
            self._retire(record, op[2], op[3], op[4])
        else:
            self._fire_before(record, before, watermark, op[3])
            self._expect(record, op[2], max(before, min(op[3], watermark)), op[3])

    def _retire(self, record: Record, winner: str, number: int, at: int) -> None:
        if self._profile_every:
            self.profiles[record.id] = profiles.merged(record, winner, at, self.intents.arrived)
        alarm = alarm_of(record.part("core"))
        record.drop("queue")
        body = MoveBody(number, record.id, winner, record.encode())
        self.effects.append(effects.move(number, winner, msgspec.msgpack.encode(body)))
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
            self.hide(before)
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
        error = self._poison.get(number)
        if error is not None:
            self.effects.append(effects.dead_move(number, record.id, self.intents.arrived, error, payload))
            self._timers.set(record.id, old, alarm_of(core))
            self._records.touch(record)
            return
        theirs = records.decode(record.id, payload)
        records.merge(record, theirs, self._kept)
        self.intents.settle(record, decided, f"move:{number}")
        if self._foresight is not None:
            self._foresight.merged(self.intents, record, record.part("core"), at, f"move:{number}")
        if self._profile_every:
            profiles.plan(record.part("core"), decided, self._profile_every)
        self._timers.set(record.id, old, alarm_of(record.part("core")))
        self._records.touch(record)

    def _drain(self, record: Record, queue: Queue, before: int, watermark: int) -> None:
        """Apply what was held, with the watermarks it came with, until the next move is awaited."""
        held, queue.held = queue.held, []
        cuts, queue.cuts = queue.cuts, []
        for done, (op, low, high) in enumerate(held, 1):
            self.hide(low)
            self._fire_before(record, low, low, low)
            if op[0] == EVENT:
                self.tally.row(op[3]).held -= 1
            self.drained, self._drained_cut = op, cuts[done - 1] if done <= len(cuts) else 0
            self._apply(record, op, low, high)
            self.drained = None
            if op[0] == RETIRE:
                return
            if queue.waiting:
                queue.held, queue.cuts = held[done:], cuts[done:]
                return
        self.hide(before)
        self._fire_before(record, before, before, before)
        if not queue.early:
            record.drop("queue")

    # --- an event ------------------------------------------------------------------------------------

    def event(self, record: Record, op: Operation, before: int, watermark: int, row: Row) -> None:
        completed = len(op) > 8  # it was held, see `operate`
        _, _, at, place, offset, arrived, _, raw = op[:8] if completed else op
        try:
            message, form, values, signs, consent, addresses, news = self.reader.read(
                op[8] if completed else raw, at, place, completed
            )
        except BadEvent as error:
            self.reject(place, offset, at, arrived, "event", error.reason, str(error), raw)
            return
        except self._fatal:
            raise
        except Exception as error:
            self.reject(
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
            topic = self._topics[place] = _checksum(place.rpartition("/")[0].encode())
        known = note(
            record.part("seen"),
            _checksum(message.encode(), topic),
            _checksum(raw) or 1,
            at,
            before,
            self._window,
        )
        if known == SAME:
            row.duplicate += 1
            return
        self._records.touch(record)
        if core.first_seen < 0 or at < core.first_seen:
            core.first_seen = at
        if at > core.last_seen:
            core.last_seen = at
        if consent is not None:
            _consent(core, consent, at)
        if values is not None and self.drained is not None and self.playbook.generations:
            form, values = self._without_later(form, values)
        if values is not None:
            features.add(record.part("m"), self._plan, form, values)
        if addresses:
            _addresses(core, addresses)
        alarms = core.alarms
        if self._profile_every and (values or consent) and profiles.ALARM not in alarms:
            profiles.plan(core, max(at, before), self._profile_every)
        intents = self.intents
        intents.arrived = arrived
        if signs:
            intents.react(record, core, signs, at, message, before)
        if consent is not None and not consent.granted:
            intents.cancel(record, at, message, before)
        if news and self._foresight is not None:
            self._foresight.event(intents, record, core, news, at, message, before)
        if alarms or alarm >= 0:
            self._rearm(record, alarm, alarm_of(core))
        row.accepted += 1
        if known == OTHER:
            row.conflicting += 1
            self.effects.append(effects.conflict(record.id, place, offset, at, arrived, message))

    def _without_later(self, form: str, values: list[Any]) -> tuple[str, list[Any] | None]:
        """Of an event that was held since before features were added, what is not filled from history."""
        cut, first, generations = self._drained_cut, self.first, self.playbook.generations
        later = {str(it) for it, last in generations.items() if cut <= (last if last >= 0 else first - 1)}
        slots = form.split(",")
        kept = [n for n, slot in enumerate(slots) if slot.partition("/")[2] not in later]
        row = [values[0], *(values[n + 1] for n in kept)]
        return ",".join(slots[n] for n in kept), row if any(it is not None for it in row[1:]) else None

    def hide(self, before: int) -> None:
        """Features whose past is not counted yet cannot be told. What was held for a move sees them as it
        would have when it came; so it goes by the watermark `before` its cut."""
        hidden = self.playbook.hidden
        hidden.clear()
        for generation, names in self.playbook.later.items():
            shown = self._shown.get(generation)
            if shown is None or before <= shown:
                hidden |= names

    def _fire_before(self, record: Record, before: int, watermark: int, at: int) -> None:
        """What was due before an event at `at` is decided before the event is applied."""
        core: Core = record.part("core")
        if core.alarms:
            limit = max(before, min(at, watermark))
            if alarm_of(core) <= limit:
                self._fire(record, limit, max(before, watermark))

    def fire_due(self, record: Record, watermark: int) -> None:
        """The alarm of this customer went off."""
        if not waits(record):
            self._fire(record, watermark, watermark, was_set=False)

    def _fire(self, record: Record, limit: int, watermark: int, was_set: bool = True) -> None:
        """Everything due by `limit`. `was_set`: the customer's timer has not gone off."""
        core: Core = record.part("core")
        alarm = first = alarm_of(core)
        if self._foresight is not None:
            while 0 <= first <= limit and (found := self._foresight.first_due(core, limit)) is not None:
                due, scores = found
                if first < due:
                    self._decide_due(record, core, due - 1, watermark)  # it may need the score of then
                scores.due(self.intents, record, core, due, watermark)
                first = alarm_of(core)
        if 0 <= first <= limit:
            self._decide_due(record, core, limit, watermark)
            first = alarm_of(core)
        self._rearm(record, alarm, first, was_set)
        self._records.touch(record)

    def _decide_due(self, record: Record, core: Core, limit: int, watermark: int) -> None:
        due_profile = core.alarms.get(profiles.ALARM, limit + 1)
        self.intents.fire(record, limit, watermark)
        if due_profile <= limit and self._profile_every:
            profiles.told_of(record)
            if not self._profiled:
                return
            arrived = self.intents.arrived
            try:
                self.profiles[record.id] = profiles.profile(self.playbook, record, due_profile, arrived)
            except Exception as error:
                self.effects.append(effects.dead_part(record.id, "profile", due_profile, arrived, error, b""))

    def _rearm(self, record: Record, old: int, new: int, was_set: bool = True) -> None:
        if new != old or not was_set:
            self._timers.set(record.id, old, new)

    def reject(
        self, place: str, offset: int, at: int, arrived: int, stage: str, reason: str, detail: str, raw: bytes
    ) -> None:
        self.tally.row(place).dead_lettered += 1
        self.effects.append(effects.dead_letter(place, offset, at, arrived, stage, reason, detail, raw))


_decode_measured = msgspec.msgpack.Decoder(Measured).decode


def waits(record: Record) -> bool:
    return record.has("queue") and record.look("queue").waiting != 0


def _consent(core: Core, consent: ConsentUpdated, at: int) -> None:
    name = f"{consent.purpose}/{consent.channel}"
    core.consents = records.CORE_MERGES["consents"](core.consents, {name: (at, consent.granted)})


def _addresses(core: Core, found: Sequence[tuple[str, int]]) -> None:
    """Notes addresses and when they failed; a failure that names no address is of all of its kind."""
    for name, failed in found:
        if name.endswith(":"):
            core.addresses |= {
                known: max(failed, at) for known, at in core.addresses.items() if known.startswith(name)
            }
        elif failed > core.addresses.get(name, -2):
            core.addresses = records.CORE_MERGES["addresses"](core.addresses, {name: failed})
