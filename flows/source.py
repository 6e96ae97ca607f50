"""The sequencer: everything that arrives, put into one order that is written down before it is used."""

from __future__ import annotations

import time
from collections import Counter, deque
from itertools import takewhile
from typing import Any

import msgspec
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import Consumer, TopicPartition

from flows import kafka, metadata, placing
from flows import resume as resuming
from flows.arrivals import Arrivals
from flows.group import Group
from flows.idleness import Idleness
from flows.kafka import KafkaTrouble, Place
from flows.orderlog import OrderLog, Written
from flows.pace import Pace
from flows.resume import Resume
from flows.routing import BESIDE_SOURCE
from flows.settings import Run
from flows.telemetry.views import OrderView
from flows.telling import telling
from flows.timings import IDLE
from operators.cuts import Batch, Cut, Opened
from operators.order import COMMAND, INTERNAL_TIME, Front
from state.points import SEQUENCE, Points

HELD_EVENTS = 200_000  # prefetched events over all partitions, beyond which fast partitions are paused
MOST_POLLS = 10  # of 1,000 records each, in one turn
OUTAGE = 2.0  # seconds without an acknowledgement after which the broker counts as having been away
LONG_REPEAT = 2_000  # cuts

_json = msgspec.json.Decoder()


class Source(FixedPartitionedSource[tuple[str, Batch], bytes]):
    """One partition per scope: a scope has one sequencer."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def list_parts(self) -> list[str]:
        self._run.watching.health.started = True
        return [self._run.scope]

    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> Sequencer:
        durable = Points(self._run.directory.points, SEQUENCE)
        if resume_state is None and (point := durable.newest()) is not None:
            resume_state = point[1]  # restored from elsewhere, or repaired
        sequencer = self._run.sequencer or Sequencer
        resume = resuming.decode(resume_state) if resume_state else None
        return telling(self._run, lambda: sequencer(self._run, resume, durable))


class Sequencer(StatefulSourcePartition[tuple[str, Batch], bytes]):
    """One consumer over reference and channel partitions, one over the internal ones; cuts as `Front`
    proposes."""

    def __init__(self, run: Run, resume: Resume | None, durable: Points) -> None:
        self._run = run
        self._durable = durable
        self._newest = resume
        engine, self._times = run.playbook.engine, run.playbook.times
        self._cut_events = engine.cut_events
        self._follow = engine.idle == "follow"
        self._waking = metadata.waking(run.brokers)
        self._channels = self._reader()
        self._internals = kafka.consumer(run.brokers, f"oncue-{run.space}-internal", **self._waking)
        self._group = Group(run.brokers, f"oncue-{run.space}")
        inputs = self._inputs()
        learnt = [(run.models, 0)] if run.playbook.foretold else []
        named_internal = [run.moves, run.control, run.order, *(topic for topic, _ in learnt)]
        counts = kafka.partitions(self._internals, named_internal, run.brokers)
        internals = [(run.moves, p) for p in range(counts[run.moves])] + [(run.control, 0)]
        internals += [*self._earlier_moves(), *learnt]
        self._places: list[Place] = inputs + internals
        self._names = [kafka.show(place) for place in self._places]
        self._index = {place: index for index, place in enumerate(self._places)}
        kinds = [run.kinds[topic] for topic, _ in inputs if topic in run.kinds]
        named = {topic for topic, _ in self._places} - self._unnamed() | {run.order}
        self._ids = metadata.identities(run.brokers, sorted(named))
        growing = Counter(topic for topic, _ in inputs) if run.plan is None else {}
        self._watch = metadata.Watch(run.brokers, growing, self._ids, self._times.refresh / 1000)
        self._front = Front(len(inputs), len(internals), self._times.alignment, len(kinds))
        self._arrivals = Arrivals(run, self._front, self._places, self._channels, kinds)
        self._paused: set[int] = set()
        self._limit = max(1000, HELD_EVENTS // len(inputs))
        self._pace = Pace(run.epoch / 1000)
        self._pending: Cut | None = None
        self._last_cut = time.monotonic()
        self._blocked = False
        self._needed: dict[int, int] | None = None  # how far the partitions must arrive for the next cut
        self._settled = 0  # the cut up to which everything is known to be durable
        self._finished = bool(resume and resume.finished)
        self._repeated = resume.repeated if resume else -1
        self._round = resume.round if resume else 0
        self._busy = False  # whether a turn found anything
        self._open(resume)
        self._idleness = Idleness(run, self._front, self._log, inputs)
        self._view = OrderView(
            self._front, self._places, self._channels, self._internals, self._pace, run.telemetry.within
        )
        run.watching.figures.watch(self._view.points)
        run.watching.health.check("order", self._view.why_not)

    # --- start ---------------------------------------------------------------------------------------

    def _reader(self) -> Consumer:
        """What gives the records of the input."""
        return kafka.consumer(self._run.brokers, f"oncue-{self._run.space}", **FETCH, **self._waking)

    def _inputs(self) -> list[Place]:
        """Partitions of reference data first, then of channels."""
        counts = kafka.partitions(self._channels, self._run.inputs, self._run.brokers)
        return [(topic, p) for topic in self._run.inputs for p in range(counts[topic])]

    def _unnamed(self) -> set[str]:
        """Input topics that the broker cannot tell the id of."""
        return set()

    def _earlier_moves(self) -> list[Place]:
        """Partitions with moves that were under way when this state wrote to other topics."""
        return []

    def _first(self, place: Place) -> int | None:
        """Where a partition begins that was never read; None: at its oldest record."""
        return None

    def _open(self, resume: Resume | None) -> None:
        front = self._front
        if resume and resume.marker and not resuming.is_same(self._run.order, resume.marker.ids, self._ids):
            raise KafkaTrouble(
                f"{self._run.order}: {metadata.ANEW}. Move the state directory away to start over"
            )
        log = self._log = OrderLog(
            self._run.brokers,
            self._run.order,
            resume.position if resume else 0,
            resume.incarnation if resume else -1,
            resume.marker if resume else None,
        )
        repeat = log.read()
        markers = list({id(it.marker): it.marker for it in repeat}.values())
        starts = [
            resuming.start(
                place,
                resume,
                markers,
                self._ids,
                kafka.bounds(self._channels if i < front.inputs else self._internals, place),
                self._run.on_gap,
                self._first(place),
            )
            for i, place in enumerate(self._places)
        ]
        log_marker = Opened(
            self._run.playbook.hash, [(t, p, starts[i]) for i, (t, p) in enumerate(self._places)], self._ids
        )
        repeat += log.open(log_marker)
        self._marker = log_marker
        self._repeat = deque(self._own(repeat))
        # Not behind our own marker: until the cuts to repeat are released, they are before us.
        self._position = resume.position if resume else 0
        self._incarnation = resume.incarnation if resume else -1
        self._cut_marker = resume.marker if resume else None
        highest = [resume.highest.get(name, -1) if resume else -1 for name in self._names[: front.inputs]]
        front.resume(starts, highest, resume.number if resume else 0, resume.watermark if resume else -1)
        if resume:
            front.ended = resume.ended
            if resume.ends_at is not None:
                front.finish_at([resume.ends_at.get(name, 0) for name in self._names[: front.inputs]])
        self._run.incarnation = log.incarnation
        self._run.directory.remember(self._run.text)  # it was not refused
        if self._run.slots is not None:
            placing.keep(self._run.directory.root, self._run.slots, front.number)
        for client, indexes in (
            (self._channels, range(front.inputs)),
            (self._internals, range(front.inputs, front.size)),
        ):
            client.assign([TopicPartition(*self._places[i], starts[i]) for i in indexes])

    def _own(self, repeat: list[Written]) -> list[Written]:
        """Of the cuts to be repeated those before the first that was made with another playbook."""
        own = list(takewhile(lambda it: it.marker.playbook == self._run.playbook.hash, repeat))
        if repeat and not own:
            raise KafkaTrouble(
                f"{len(repeat)} cuts were made with another playbook and are not in the state yet, because "
                "the last stop was not a clean one or the state is an older one. Start once with the old "
                "playbook that made them, stop it with SIGTERM, then start with the new one"
            )
        self._run.others = len(repeat) - len(own)
        return own

    # --- turns ------------------------------------------------------------------------------------------

    def next_batch(self) -> list[tuple[str, Batch]]:
        timings = self._run.timings
        began = timings.begin("sequence")
        self._busy = False
        try:
            return self._turn()
        finally:
            timings.add("sequence" if self._busy else IDLE, began)

    def _turn(self) -> list[tuple[str, Batch]]:
        now = time.monotonic()
        self._pace.opened(now)
        if self._finished:
            raise StopIteration
        if self._repeat:
            return self._repeat_cut()
        if self._run.others:
            raise StopIteration
        if self._pending is not None:
            if self._log.acknowledged() is None:
                self._poll()
                return []
            if self._log.latency > OUTAGE:
                self._idleness.distrust()
            self._run.watching.figures.observe("oncue.order.latency", now - self._view.appended_at)
            return [self._release(self._pending, self._log.confirm())]
        if self._run.stop.is_set():
            raise StopIteration
        if self._watch.grown(now):
            self._run.again = True
            raise StopIteration
        if self._pace.full:
            return []
        self._poll(self._needed)
        cut = self._propose(now)
        if cut is not None:
            self._log.append(cut)
            self._pending = cut
            self._view.appended_at = now
        return []

    def _propose(self, now: float) -> Cut | None:
        """The next cut, when it is time for one."""
        self._idleness.prove(now, self._last_cut)
        front = self._front
        waited = now - self._last_cut
        if (
            front.held < self._cut_events
            and (not front.held or waited < self._times.cut / 1000)
            and waited < self._times.heartbeat / 1000
        ):
            return None
        # The answer to an empty cut is the only news of the broker's time that an idle scope gets.
        cut = front.propose(self._log.incarnation, self._cut_events, always=self._follow)
        self._blocked = cut is None or cut.events * 4 < self._cut_events <= front.held
        if cut is None:
            self._last_cut = now
        return cut

    def snapshot(self) -> bytes:
        timings = self._run.timings
        timings.epoch()
        began = timings.begin("sequence snapshot")
        self._pace.closed(time.monotonic())
        front, names = self._front, self._names
        ends_at = front.ends_at
        before, self._newest = (
            self._newest,
            Resume(
                dict(zip(names, front.offsets, strict=True)),
                dict(zip(names, front.highest, strict=False)),
                front.number,
                front.watermark,
                self._position,
                self._incarnation,
                self._cut_marker,
                front.ended,
                None if ends_at is None else dict(zip(names, ends_at, strict=False)),
                self._finished,
                self._repeated,
                self._round,
            ),
        )
        if before is not None:
            self._settle(before)
        self._run.newest = resuming.encode(self._newest)
        timings.pause("sequence", began)
        return self._run.newest

    def _settle(self, resume: Resume) -> None:
        """The epoch of this snapshot is durable everywhere: any later snapshot of Bytewax proves it."""
        if resume.number > self._settled:
            self._settled = resume.number
            self._durable.keep(resume.number, resuming.encode(resume))
            if self._run.copies is not None:
                self._run.copies.durable()
        if self._run.plan is None:
            self._group.commit(resuming.offsets_of(self._run, resume))

    def close(self) -> None:
        self._view.close()
        self._channels.close()
        self._internals.close()

    def _repeat_cut(self) -> list[tuple[str, Batch]]:
        """Cuts that were made before the last stop come again, exactly as they were. A stop waits for
        the last epoch's, so that it leaves nothing to be repeated; a long rebuild it breaks off."""
        if self._run.stop.is_set() and len(self._repeat) > LONG_REPEAT:
            raise StopIteration
        if self._pace.full:
            return []
        self._view.repeating = len(self._repeat)
        written = self._repeat[0]
        marker = written.marker
        ends = {}
        for i, end in written.cut.ends.items():
            topic, partition, _ = marker.partitions[i]
            if resuming.is_same(topic, marker.ids, self._ids):  # else its records are gone, as was accepted
                ends[self._index[topic, partition]] = end
        cut = msgspec.structs.replace(written.cut, ends=ends)
        if not self._front.has(cut):
            self._poll(cut.ends)
            if not self._front.has(cut):
                return []
        if cut.number != self._front.number + 1:
            raise KafkaTrouble(
                f"{self._run.order}/0/{written.offset} holds cut {cut.number} where "
                f"{self._front.number + 1} is due; the topic is damaged"
            )
        self._repeat.popleft()
        self._view.repeating = len(self._repeat)
        self._incarnation, self._cut_marker = cut.incarnation, written.marker
        return [self._release(cut, written.offset)]

    def _release(self, cut: Cut, offset: int) -> tuple[str, Batch]:
        if self._pending is not None:
            self._incarnation, self._cut_marker = self._log.incarnation, self._marker
        self._pending = None
        self._position = offset + 1
        if cut.repeats >= 0:
            self._repeated = cut.repeats
        self._last_cut = time.monotonic()
        self._busy = True
        batch = self._front.release(cut, self._log.incarnation, self._names)
        self._view.appended_at = 0.0
        self._view.took(batch.events)
        followed = self._arrivals.followed(cut)
        if followed is not None:
            batch.traces = followed
        self._pace.count += len(batch.events)
        self._run.timings.count("events", len(batch.events))
        self._run.timings.count("cuts", 1)
        for arrival in batch.events:
            if arrival[3] != COMMAND:
                if arrival[0] != INTERNAL_TIME:
                    break
            else:
                self._obey(arrival[5], arrival[6])
        return BESIDE_SOURCE, batch

    def _obey(self, name: str, body: bytes) -> None:
        """A command takes effect with the cut that holds it, so it does again when the cut is repeated."""
        if name == "end":
            ends = _json.decode(body)
            self._front.finish_at([ends.get(place, 0) for place in self._names[: self._front.inputs]])
        elif name == "done":
            self._finished = True

    # --- what arrives -----------------------------------------------------------------------------------

    def _poll(self, needed: dict[int, int] | None = None) -> None:
        """Take what has arrived; `needed` is how far a cut that is repeated must have arrived."""
        front = self._front
        for _ in range(MOST_POLLS):
            if front.held >= 2 * self._cut_events and not self._blocked and needed is None:
                break
            messages = kafka.take(self._channels, 1000, 0)
            self._take(messages)
            if len(messages) < 1000:
                break
        self._take(kafka.take(self._internals, 500, 0))
        if front.held > self._limit or self._paused:
            self._hold_back(needed or {})

    def _take(self, messages: list[kafka.Record]) -> None:
        if messages:
            self._busy = True
            self._arrivals.take(messages)

    def _hold_back(self, needed: dict[int, int]) -> None:
        """Pause partitions that run far ahead of the others, resume them when they are needed."""
        front = self._front
        short = {i for i, end in needed.items() if front.arrived_to[i] < end}
        much = {i for i in range(front.inputs) if len(front.waiting[i]) > self._limit}
        little = {i for i in self._paused if len(front.waiting[i]) < self._limit // 4}
        far, near = much - self._paused - short, (little | short) & self._paused
        if far:
            self._channels.pause([TopicPartition(*self._places[i]) for i in far])
        if near:
            self._channels.resume([TopicPartition(*self._places[i]) for i in near])
        self._paused = (self._paused | far) - near


FETCH: dict[str, Any] = {
    "queued.min.messages": 20_000,
    "queued.max.messages.kbytes": 131_072,
    "error_cb": kafka.tell_refusal,
}
