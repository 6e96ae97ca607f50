"""The sequencer of a replay: a range that ends, in event-time order or as a live run had it."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from confluent_kafka import TopicPartition

from flows import kafka, recorded, selection
from flows.archive import Archive
from flows.kafka import Place
from flows.recorded import Recorded
from flows.resume import Resume
from flows.selection import Selecting
from flows.settings import Run
from flows.source import Sequencer
from operators import bounded
from operators.cuts import Batch, Cut
from operators.order import NEVER
from schemas import topics
from state.points import Points

BURST = 0.2  # seconds of the rate that may come at once
WIDE = 2  # a cut gets little more than half of the partitions' shares, as these reach up to different times


class Bounded(Sequencer):
    """Reads the parts of the run's plan. Their ends are known from the start, so nobody asks the broker
    whether a partition is idle, and no clock has a say."""

    def __init__(self, run: Run, resume: Resume | None, durable: Points) -> None:
        assert run.plan is not None
        self._plan = run.plan
        self._parts = {(part.topic, part.partition): part for part in run.plan.parts}
        self._earlier = {(part.topic, part.partition): part for part in run.plan.moves}
        self._topics = {part.topic for part in run.plan.parts}
        both = {**self._parts, **self._earlier}
        self._end_of = {place: part.end for place, part in both.items()}
        self._cuts: Recorded | None = None
        self._selecting = selection.of(run)
        self._allowed = 0.0
        if resume is not None and resume.round < run.plan.round:  # continued after its end
            resume = msgspec.structs.replace(
                resume, ended=False, ends_at=None, finished=False, round=run.plan.round
            )
        super().__init__(run, resume, durable)
        self._round = run.plan.round
        self._view.until = self._end_of
        most = WIDE * self._cut_events
        if run.rate:
            most = min(most, int(run.rate * BURST))
        self._share = max(1, min(most // self._front.inputs, self._limit // 4))
        front = self._front
        front.finish_at([part.end for part in self._parts.values()])
        self._taught = self._index.get((run.models, 0), -1)
        done = [place for i, place in enumerate(self._parts) if bounded.over(front, i)]
        if done:
            self._channels.pause([TopicPartition(*place) for place in done])
        if run.plan.cuts is not None:
            cuts, order = run.plan.cuts, topics.order(run.scope)
            self._cuts = (
                Recorded(run.brokers, order, cuts.start, cuts.end, cuts.incarnation)
                if self._repeated < 0
                else recorded.behind(run.brokers, order, self._repeated, cuts.end)
            )
        self._refilled = time.monotonic()
        self._tell()

    def close(self) -> None:
        super().close()
        if self._cuts is not None:
            self._cuts.close()

    # --- what is read -------------------------------------------------------------------------------------

    def _reader(self) -> Any:
        files = any(part.files for part in self._parts.values())
        return Archive(self._run.playbook, self._parts.values()) if files else super()._reader()

    def _unnamed(self) -> set[str]:
        return {part.topic for part in self._parts.values() if part.files}

    def _inputs(self) -> list[Place]:
        return list(self._parts)

    def _earlier_moves(self) -> list[Place]:
        return list(self._earlier)

    def _first(self, place: Place) -> int | None:
        part = self._parts.get(place)
        return None if part is None else part.start

    def _take(self, messages: list[kafka.Record]) -> None:
        ends = self._end_of
        beyond = {
            place
            for it in messages
            if it.error() is None and it.offset() >= ends.get(place := (it.topic(), it.partition()), NEVER)
        }
        if beyond:
            messages = [
                it
                for it in messages
                if it.error() is not None or it.offset() < ends.get((it.topic(), it.partition()), NEVER)
            ]
        passed: dict[Place, tuple[int, int]] = {}
        for select in self._selecting:
            messages = self._selected(select, messages, passed)
        super()._take(messages)
        for place, (offset, at) in passed.items():
            self._front.pass_over(self._index[place], offset, at)
        for place in beyond:
            index = self._index[place]
            self._front.read_up_to(index, ends[place])
            client = self._channels if index < self._front.inputs else self._internals
            client.pause([TopicPartition(*place)])

    def _selected(
        self, select: Selecting, messages: list[kafka.Record], passed: dict[Place, tuple[int, int]]
    ) -> list[kafka.Record]:
        """What to take of these; how far those go that are left out, in offset and time, is in `passed`."""
        taken = []
        for it in messages:
            found, at = it, -1
            if it.error() is None and it.topic() in self._topics:
                found, at = select.of(it)
            if found is None:
                place = it.topic(), it.partition()
                passed[place] = it.offset(), max(at, passed.get(place, (0, -1))[1])
            else:
                taken.append(found)
        return taken

    # --- when it goes on ----------------------------------------------------------------------------------

    def _propose(self, now: float) -> Cut | None:
        cut = self._next(now)
        self._blocked = cut is None
        return cut

    def _next(self, now: float) -> Cut | None:
        front, incarnation = self._front, self._log.incarnation
        taught, known = self._taught, True
        if taught >= 0 and self._cuts is None:
            known = front.reached[taught] >= self._plan.models
        if not known or not self._may_go(now):
            return bounded.internals(front, incarnation, taught, -1)
        if self._cuts is None:
            return bounded.propose(front, incarnation, self._share, taught)
        return self._repetition(self._cuts)

    def _repetition(self, cuts: Recorded) -> Cut | None:
        """The next recorded cut, once what it lets in has arrived. One that is in already because the
        replay began behind it is passed over."""
        front, incarnation = self._front, self._log.incarnation
        while not front.ended:
            written = cuts.peek()
            if written is None:
                if not cuts.done:
                    break
                return bounded.closing(front, incarnation)
            cut, marker = written.cut, written.marker
            ends: dict[int, int] = {}
            for i, end in cut.ends.items():
                topic, partition, _ = marker.partitions[i]
                if (topic, partition) in self._parts or topic == self._run.models:
                    ends[self._index[topic, partition]] = end
            new = any(end > front.offsets[i] for i, end in ends.items())
            if not new and cut.watermark <= front.watermark and (ends or cut.watermark < front.watermark):
                cuts.pop()
                continue
            if any(front.reached[i] < end for i, end in ends.items()):
                self._needed = ends
                break
            cuts.pop()
            self._needed = None
            return bounded.repeat(front, incarnation, ends, cut.watermark, written.offset, self._taught)
        return bounded.internals(front, incarnation, self._taught, -1)

    def _may_go(self, now: float) -> bool:
        """Whether the rate that was asked for allows more events now."""
        rate = self._run.rate
        if not rate:
            return True
        self._allowed = min(rate * BURST, self._allowed + (now - self._refilled) * rate)
        self._refilled = now
        return self._allowed > 0

    def _release(self, cut: Cut, offset: int) -> tuple[str, Batch]:
        released = super()._release(cut, offset)
        self._allowed -= len(released[1].events)
        self._tell()
        return released

    def _tell(self) -> None:
        """How far it is."""
        if self._run.progress is not None:
            front = self._front
            done = sum(
                min(front.offsets[i], part.end) - part.start for i, part in enumerate(self._parts.values())
            )
            self._run.progress(done, front.watermark)
