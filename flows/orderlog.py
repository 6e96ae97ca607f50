"""The `order` topic: where a scope's cuts are written before anything is let through.

Each incarnation of the sequencer opens with a marker; cuts that an older one appends after it are void.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition

from flows import kafka
from flows.kafka import KafkaTrouble
from operators.cuts import Cut, Opened, decode, encode


class Written(NamedTuple):
    """A valid cut found in `order`, and the marker of the incarnation that made it."""

    offset: int
    cut: Cut
    marker: Opened


class Superseded(RuntimeError):
    """A newer incarnation of this scope runs; this process must not go on."""


def check_latest(brokers: str, topic: str, incarnation: int) -> None:
    """Raises Superseded when a newer incarnation than `incarnation` has opened."""
    _look_between(brokers, topic, incarnation + 1, kafka.end(brokers, (topic, 0)))


class OrderLog:
    """Reader and only writer of a scope's `order` partition.

    Parameters
    ----------
    position
        The offset behind the last cut that is in the state.
    incarnation
        Offset of the marker that is valid at `position`; -1 at the beginning of the topic.
    marker
        That marker, None at the beginning.
    """

    def __init__(
        self, brokers: str, topic: str, position: int, incarnation: int, marker: Opened | None
    ) -> None:
        self._brokers = brokers
        self._topic = topic
        self._position = position
        self._latest = incarnation
        self._marker = marker
        self.void = 0
        self.incarnation = -1
        self.broker_time = -1  # of the last acknowledged record, ms
        self.latency = 0.0  # seconds that its acknowledgement took
        # However long the broker is away, the cut waits: nothing goes on without it and nothing is lost.
        self._producer = kafka.producer(brokers, **{"queue.buffering.max.ms": 0, "message.timeout.ms": 0})
        self._acknowledged: int | None = None
        self._last = position - 1
        self._error: KafkaError | None = None

    def read(self) -> list[Written]:
        """The valid cuts from `position` to the end: made, but not yet in the state."""
        client = kafka.consumer(self._brokers, "oncue-order")
        try:
            low, high = kafka.bounds(client, (self._topic, 0))
            if low > self._position:
                raise KafkaTrouble(
                    f"{self._topic} begins at offset {low}, but the state needs it from {self._position}: "
                    "its retention has removed cuts that were not in the state yet. Restore a newer copy of "
                    "the state directory, or start over with a new scope name"
                )
            if self._position > high:
                raise KafkaTrouble(
                    f"{self._topic} ends at offset {high}, but the state was made up to {self._position}: "
                    "the topic was made anew. Move the state directory away to start over"
                )
            return self._scan(client, high)
        finally:
            client.close()

    def open(self, marker: Opened) -> list[Written]:
        """Announce this incarnation; returns what an older one managed to append before it."""
        self.append(marker)
        while (at := self.acknowledged()) is None:
            self._producer.poll(0.05)
        client = kafka.consumer(self._brokers, "oncue-order")
        try:
            late = self._scan(client, at)
        finally:
            client.close()
        self.incarnation = self._last = at
        return late

    def append(self, record: Cut | Opened) -> None:
        """Send; `acknowledged()` tells when the broker has it. One record at a time."""
        self._acknowledged = None
        self._producer.produce(self._topic, encode(record), partition=0, on_delivery=self._delivered)
        self._producer.poll(0)

    def acknowledged(self) -> int | None:
        """The offset of the record last appended, None while the broker has not answered."""
        if self._acknowledged is None:
            self._producer.poll(0)
        if self._error is not None:
            raise KafkaTrouble(f"cannot append to {self._topic}: {self._error.str()}")
        return self._acknowledged

    def confirm(self) -> int:
        """The acknowledged offset, once it is sure that no newer incarnation wrote in between.

        Raises Superseded.
        """
        assert self._acknowledged is not None
        at = self._acknowledged
        if at != self._last + 1:
            _look_between(self._brokers, self._topic, self._last + 1, at)
        self._last = at
        return at

    def _scan(self, client: Consumer, end: int) -> list[Written]:
        found: list[Written] = []
        if self._position >= end:
            return found
        client.assign([TopicPartition(self._topic, 0, self._position)])
        while self._position < end:
            for message in kafka.take(client, 5000):
                if message.error():
                    if kafka.is_end(message.error()) or kafka.passing(message.error()):
                        continue
                    raise KafkaTrouble(f"cannot read {self._topic}: {message.error().str()}")
                offset = message.offset()
                if offset >= end:
                    break
                self._take(found, offset, decoded(message))
                self._position = offset + 1
        return found

    def _take(self, found: list[Written], offset: int, record: Cut | Opened) -> None:
        if isinstance(record, Opened):
            self._latest, self._marker = offset, record
        elif record.incarnation == self._latest and self._marker is not None:
            found.append(Written(offset, record, self._marker))
        else:
            self.void += 1

    def _delivered(self, error: KafkaError | None, message: kafka.Record) -> None:
        if error is not None:
            self._error = error
        else:
            self._acknowledged = message.offset()
            self.latency = message.latency() or 0.0
            stamp = message.timestamp()[1]
            # The embedded broker reports 1234; it runs on this machine, so this clock is its clock.
            self.broker_time = max(self.broker_time, stamp if stamp > 10**9 else int(time.time() * 1000))


def decoded(message: kafka.Record) -> Cut | Opened:
    try:
        record: Cut | Opened = decode(message.value() or b"")
        return record
    except msgspec.DecodeError as error:
        raise KafkaTrouble(
            f"{message.topic()}/0/{message.offset()} is not a cut ({error}); only oncue may write there"
        ) from None


def _look_between(brokers: str, topic: str, low: int, high: int) -> None:
    """Somebody else wrote from `low` to before `high`: a predecessor's cuts are void, a marker means a
    successor."""
    client = kafka.consumer(brokers, "oncue-order")
    try:
        client.assign([TopicPartition(topic, 0, low)])
        while low < high:
            for message in kafka.take(client, 5000):
                if message.error() is None:
                    low = message.offset() + 1
                    if message.offset() < high and isinstance(decoded(message), Opened):
                        where = f"{topic}/0/{message.offset()}"
                        raise Superseded(f"another oncue took over this scope ({where}); this one stops")
    finally:
        client.close()
