"""What the parts of a dataflow show: read from them when somebody asks, by another thread."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from flows.kafka import Place
from flows.pace import Pace
from flows.telemetry.figures import Point
from operators.counts import OUTCOMES, Counts
from operators.cuts import Arrival
from operators.order import INTERNAL_TIME, Front
from state.cache import Cache

_ENDED = OUTCOMES[:3]  # what became of an event; the rest waits


class OrderView:
    """The sequencer: lag, watermark, whether it is caught up.

    `arrived` is when the newest released record came to the broker (ms), `appended_at` when the cut that is
    not acknowledged yet was appended (monotonic, 0: none), `repeating` how many cuts are to be repeated,
    `until` where partitions of a bounded range end, wherever the broker's do.
    """

    def __init__(
        self, front: Front, places: list[Place], channels: Consumer, internals: Consumer, pace: Pace,
        within: float,
    ) -> None:  # fmt: skip
        self._front = front
        self._places = places
        self._clients = [channels] * front.inputs + [internals] * (front.size - front.inputs)
        self._pace = pace
        self._within = within
        self.repeating = self.arrived = 0
        self.appended_at = 0.0
        self.until: Mapping[Place, int] = {}
        self._ends: dict[Place, int] = {}  # a client forgets them when it loses the broker
        self._lag: dict[Place, int] = {}
        self._closed = False

    def took(self, events: list[Arrival]) -> None:
        """They are in the order now. Moves, models and commands, which sort first, were written just now:
        they do not show how far behind the input is."""
        if events and events[-1][0] != INTERNAL_TIME:
            self.arrived = max(self.arrived, events[-1][4])

    def close(self) -> None:
        """The clients are about to go: what they told last stays."""
        self.lag()
        self._closed = True

    def lag(self) -> dict[Place, int]:
        """Offsets by partition, as far as its end is known."""
        if self._closed:
            return self._lag
        front, found = self._front, {}
        for i, place in enumerate(self._places):
            end = self._clients[i].get_watermark_offsets(TopicPartition(*place), cached=True)[1]
            if end >= 0:
                self._ends[place] = end
            end = self.until.get(place, self._ends.get(place, -1))
            if end >= 0:
                here = front.offsets[i] if front.waiting[i] else max(front.offsets[i], front.reached[i])
                found[place] = max(0, end - here)
        self._lag = found
        return found

    def age(self, lag: dict[Place, int]) -> float:
        return max(0.0, time.time() - self.arrived / 1000) if self.arrived and any(lag.values()) else 0.0

    def why_not(self) -> str:
        if self.repeating:
            return f"{self.repeating} cuts of before the last stop are repeated first"
        waited = time.monotonic() - self.appended_at if self.appended_at else 0.0
        if waited > self._within:
            return f"the broker has not acknowledged a cut for {waited:.0f} s"
        lag = self.lag()
        inputs = self._places[: self._front.inputs]
        unheard = [f"{topic}/{partition}" for topic, partition in inputs if (topic, partition) not in lag]
        if unheard:
            return f"nothing heard yet of {', '.join(unheard[:5])}"
        behind = sum(lag[place] for place in inputs)
        if behind and not self.arrived:
            return f"{behind} records wait and none was taken yet"
        age = self.age(lag)
        return f"{age:.0f} s behind, {behind} records wait" if age > self._within else ""

    def points(self) -> Iterator[Point]:
        front, lag = self._front, self.lag()
        latest = front.latest()
        for i, (topic, partition) in enumerate(self._places):
            yield "messaging.client.consumed.messages", (topic,), front.released[i]
            if (topic, partition) in lag:
                yield "oncue.consumer.lag", (topic, str(partition)), lag[topic, partition]
            if i < front.inputs and (clock := max(front.highest[i], front.idle_until[i])) >= 0:
                yield "oncue.watermark.lag", (topic, str(partition)), max(0, latest - clock) / 1000
        yield "oncue.backlog.age", (), self.age(lag)
        if front.watermark >= 0:
            yield "oncue.watermark.age", (), time.time() - front.watermark / 1000
        yield "oncue.queue.size", ("prefetched",), front.held
        yield "oncue.epoch.limit", (), self._pace.cap


class ShardView:
    """What one customer shard has counted since it opened. `counted` is the tally as of the last batch."""

    def __init__(self, counts: Counts, sources: Mapping[str, str]) -> None:
        self._before = {topic: dict(row) for topic, row in counts.items()}
        self._sources = sources
        self.counted = self._before

    def points(self) -> Iterator[Point]:
        for topic, row in self.counted.items():
            before = self._before.get(topic, {})
            source = self._sources.get(topic, topic)
            for outcome in _ENDED:
                yield "oncue.events", (source, outcome), row[outcome] - before.get(outcome, 0)
            conflicting = row["conflicting"] - before.get("conflicting", 0)
            yield "oncue.events.conflicting", (source,), conflicting
            yield "oncue.events.held", (source,), row["held"]
            left = row["received"] - sum(row[outcome] for outcome in OUTCOMES)
            yield "oncue.ledger.imbalance", (source,), left


def cache(name: str, it: Cache[Any]) -> Iterator[Point]:
    yield "oncue.cache.misses", (name,), it.misses
    yield "oncue.cache.entries", (name,), it.entries
    yield "oncue.queue.size", ("unwritten",), it.unwritten


def stored(step: str, folder: Path) -> Iterator[Point]:
    """Sizes of a store's folder. What is deleted meanwhile is not there."""
    files: dict[int, int] = {}
    newest = 0
    with suppress(OSError):
        for part in sorted(folder.iterdir()):  # checkpoints by their cuts
            sizes = {}
            with suppress(OSError):
                for entry in os.scandir(part):
                    about = entry.stat()
                    sizes[about.st_ino] = about.st_size
            files |= sizes
            if part.name.startswith("ckpt-"):
                newest = sum(sizes.values())
    yield "oncue.state.size", (step,), sum(files.values())
    yield "oncue.checkpoint.size", (step,), newest
