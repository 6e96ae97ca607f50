"""The exactly-once sink: deterministic ids, transactions, and reading the tail back after a start.

Sink partition i owns partition i of every output topic. A snapshot says, for each of them, from where
on there may be records whose cut will be repeated; after a start those are read back and what comes
again is dropped by its id. The transactional id fences an older incarnation before that is read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from confluent_kafka import TopicPartition

from flows import kafka
from flows.cloudevents import CUT, ID, SOURCE, header, made_in
from flows.kafka import Interrupted, KafkaTrouble, Place
from flows.orderlog import check_latest
from flows.settings import Run
from flows.telemetry.figures import Point
from flows.telemetry.sent import Sent as Counted
from flows.telling import telling
from flows.writer import TRANSACTION_MS, Fenced, Outgoing, Writer
from operators.effects import Effect
from schemas import topics
from state import points
from state.points import SEQUENCE, Points

Caused = tuple[int, list[Effect]]  # a cut and what it caused


class Lows(msgspec.Struct, array_like=True, frozen=True):
    """Per output partition (topic name -> offset): where the tail may begin, as of the snapshot before
    the last one and of the last one. Until a snapshot is known to be kept, the older one counts.
    `brought`: of a replay that publishes, how much it sent to a topic, and how much was there before it."""

    before: dict[str, int]
    now: dict[str, int]
    brought: dict[str, tuple[int, int]] = {}


class Sent(NamedTuple):
    """A record that was read back: it must not be sent again. On a compacted topic also everything of
    its key up to its cut, which may have been compacted away and would replace it if it came again.
    `own`: a run of the same name sent it."""

    offset: int
    cut: int
    own: bool


_COMPACTED = {code for code, output in enumerate(topics.OUTPUTS) if output.compacted}
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Lows).decode


class Sink(FixedPartitionedSink[Caused, bytes]):
    """Any other kind of sink does not hold back the commit of an epoch."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def list_parts(self) -> list[str]:
        return [str(index) for index in range(self._run.playbook.engine.partitions)]

    def part_fn(self, item_key: str) -> int:
        return int(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> SinkPartition:
        durable = Points(self._run.directory.points, f"sink-{for_part}")
        if resume_state is None:
            resume_state = _known(self._run, durable)
        resume = _decode(resume_state) if resume_state else None
        return telling(self._run, lambda: SinkPartition(self._run, int(for_part), resume, durable))


class SinkPartition(StatefulSinkPartition[Caused, bytes]):
    def __init__(self, run: Run, index: int, resume: Lows | None, durable: Points) -> None:
        self._durable = durable
        names = {code: run.output(code) for code in run.outputs}
        self._places = kafka.outputs(names, run.playbook.engine.partitions)[index]
        self._timings = run.timings
        self._timings.waits("the broker")  # for the fence, and for what is read back
        self._figures = run.watching.figures
        self._traces = run.watching.traces
        self._source = made_in(run.space)
        self._run = run
        # Bytewax builds a partition on its first record. A process that was paused until then must not fence
        # its successor; if it was paused in between, it has, and must not write: the successor will find that
        # nobody took over and start again.
        self._check_latest()
        self._writer = Writer(run.brokers, f"oncue-{run.space}-sink-{index}", [*self._places.values()])
        self._check_latest()
        low = {topic: 0 for topic, _ in self._places.values()}
        if resume:
            low |= {topic: min(resume.before[topic], at) for topic, at in resume.now.items()}
        self._seen, ends = _read_back(run.brokers, self._places, low, self._source)
        self._low = low
        self._end = ends
        self._cut = 0
        # On topics of another run the cuts of what is there say nothing about when it may come again.
        self._keep = run.plan is not None and run.plan.published
        self._brought = dict(resume.brought) if resume else {}
        self.dropped = 0
        self._writer.start()
        self._figures.watch(self._points)
        self._timings.waits("")

    def _points(self) -> Iterator[Point]:
        yield "oncue.queue.size", ("outgoing",), self._writer.waiting
        yield "oncue.records.repeated", (), self.dropped
        yield "oncue.transaction.duration", (), self._writer.durations

    def write_batch(self, items: list[Caused]) -> None:
        began = self._timings.begin("sink")
        counted = Counted()
        outgoing: list[Outgoing] = []
        seen, places = self._seen, self._places
        now = int(time.time() * 1000)
        for cut, effects in items:
            self._cut = max(self._cut, cut)
            for effect in effects:
                place = places.get(effect.topic)
                if place is None:
                    continue
                topic, partition = place
                if seen:
                    if effect.topic in _COMPACTED:
                        sent = seen.get((topic, effect.key))
                        repeated = sent is not None and cut <= sent.cut
                    else:
                        sent = seen.pop((topic, effect.id), None)
                        repeated = sent is not None
                    if repeated:
                        self.dropped += 1
                        if self._keep and sent is not None:
                            self._count(topic, sent.own)
                        continue
                counted.add(effect, topic, now)
                if effect.trace and self._traces is not None:
                    effect = self._traces.sent(effect, topic, partition)
                outgoing.append(
                    Outgoing(
                        topic, partition, effect.key, effect.body, header(effect, cut, self._source, now)
                    )
                )
        if self._keep:
            for one in outgoing:
                self._count(one.topic, own=True)
        with self._explained():
            self._writer.send(outgoing)
        counted.tell(self._figures)
        self._timings.count("records out", len(outgoing))
        self._timings.add("sink", began)

    def snapshot(self) -> bytes:
        began = self._timings.begin("sink snapshot")
        self._timings.waits("the broker")
        with self._explained():
            ends = self._writer.flush()
        self._timings.waits("")
        for topic, end in ends.items():
            self._end[topic] = max(self._end[topic], end)
        if self._seen and not self._keep:
            self._seen = {key: sent for key, sent in self._seen.items() if sent.cut > self._cut}
        low = dict(self._end)
        for (topic, _), sent in self._seen.items():
            low[topic] = min(low[topic], sent.offset)
        lows = Lows(self._low, low, self._brought)
        self._low = low
        self._durable.keep(self._cut, _encode(Lows(low, low, self._brought)))
        self._timings.pause("sink", began)
        return _encode(lows)

    def close(self) -> None:
        self._timings.waits("the broker")
        self._writer.close()
        self._timings.waits("")

    def _count(self, topic: str, own: bool) -> None:
        sent, there = self._brought.get(topic, (0, 0))
        self._brought[topic] = (sent + own, there + (not own))

    def _check_latest(self) -> None:
        run = self._run
        if run.incarnation >= 0:
            check_latest(run.brokers, run.order, run.incarnation)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Who is fenced has a successor, which the order knows, or was away for too long."""
        try:
            yield
        except Fenced as fenced:
            with suppress(KafkaTrouble):
                self._check_latest()
            raise Interrupted(
                f"the broker gave up a transaction of {fenced}: it was open for more than "
                f"{TRANSACTION_MS // 1000} s, or a process that had been paused disturbed it. What was not "
                "committed is sent again after a new start"
            ) from None


def brought(folder: Path) -> dict[str, tuple[int, int]]:
    """By topic how much a replay that publishes has sent, and how much was there before it; `folder` is that
    of its durable points."""
    found: dict[str, tuple[int, int]] = {}
    for name in (it for it in points.names(folder) if it != SEQUENCE):
        for _, lows in points.read(folder, name)[-1:]:
            for topic, (sent, there) in _decode(lows).brought.items():
                before = found.get(topic, (0, 0))
                found[topic] = (before[0] + sent, before[1] + there)
    return found


def _known(run: Run, durable: Points) -> bytes | None:
    """On state that was restored or repaired: what a snapshot not after its cut said. Without it everything
    would be read back."""
    start = Points(run.directory.points, SEQUENCE).newest()
    found = durable.newest(start[0]) if start is not None else None
    return found[1] if found is not None else None


def _read_back(
    brokers: str, places: dict[int, Place], low: dict[str, int], source: str
) -> tuple[dict[tuple[str, str], Sent], dict[str, int]]:
    """Committed records from `low` on: (topic, id) -> Sent, on compacted topics (topic, key) -> the newest;
    and the end of each topic's partition."""
    seen: dict[tuple[str, str], Sent] = {}
    compacted = {topic for code, (topic, _) in places.items() if code in _COMPACTED}
    client = kafka.consumer(brokers, "oncue-sink")
    try:
        ends, waiting = {}, {}
        for place in places.values():
            first, end = kafka.bounds(client, place)
            topic = place[0]
            ends[topic] = end
            low[topic] = min(max(low[topic], first), end)
            if low[topic] < end:
                waiting[topic] = TopicPartition(*place, low[topic])
        client.assign(list(waiting.values()))
        while waiting:
            for message in kafka.take(client, 2000):
                topic = message.topic()
                if message.error() is not None:
                    if kafka.is_end(message.error()):
                        waiting.pop(topic, None)
                    elif not kafka.passing(message.error()):
                        raise KafkaTrouble(f"cannot read {topic} back: {message.error().str()}")
                    continue
                sent = _sent(message, source.encode())
                if sent is not None:
                    id = (message.key() or b"").decode() if topic in compacted else sent[0]
                    seen[topic, id] = sent[1]
    finally:
        client.close()
    return seen, ends


def _sent(message: kafka.Record, source: bytes) -> tuple[str, Sent] | None:
    """Id and cut of one of our records; None for a record of somebody else (operator commands)."""
    headers = dict(message.headers() or [])
    if ID not in headers or CUT not in headers:
        return None
    return headers[ID].decode(), Sent(message.offset(), int(headers[CUT]), headers.get(SOURCE) == source)
