"""Bringing JSON lines to a topic, at once or at the pace of their timestamps."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime

import orjson
from confluent_kafka import KafkaError

from flows import kafka
from flows.kafka import KafkaTrouble

MOST_PAUSE = 0.5  # seconds; longer gaps in the events' own times are cut short


class Pacer:
    """Waits so that events come `speed` times as fast as they once happened; 0: no waiting."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._first: float | None = None
        self._began = time.monotonic()

    def wait(self, at: float | None) -> None:
        """`at`: seconds of event time, None when unknown."""
        if not self._speed or at is None:
            return
        if self._first is None:
            self._first, self._began = at, time.monotonic()
        ahead = (at - self._first) / self._speed - (time.monotonic() - self._began)
        if ahead > 0.002:
            time.sleep(min(ahead, MOST_PAUSE))
            if ahead > MOST_PAUSE:
                self._began -= ahead - MOST_PAUSE


def moment(raw: bytes) -> tuple[float | None, bytes]:
    """Event time in seconds, if it can be told, and the record key: who it is about."""
    try:
        event = orjson.loads(raw)
        key = str(event.get("anonymousId") or event.get("userId") or "").encode()
    except (ValueError, AttributeError):
        return None, b""
    try:
        return datetime.fromisoformat(event["timestamp"]).timestamp(), key
    except (ValueError, KeyError, TypeError):
        return None, key


def check(brokers: str, topic: str) -> None:
    """Raises KafkaTrouble when there is no such topic, or no broker."""
    kafka.partitions(kafka.producer(brokers), [topic], brokers)


def produce(brokers: str, records: Iterable[tuple[str, bytes]], speed: float = 0) -> int:
    """Send (topic, value) pairs keyed by customer; how many. Raises KafkaTrouble when some did not arrive."""
    failed: list[str] = []

    def delivered(error: KafkaError | None, message: kafka.Record) -> None:
        if error is not None:
            failed.append(f"{message.topic()}: {error.str()}")

    producer = kafka.producer(brokers, **{"linger.ms": 5, "compression.type": "lz4"})
    pacer = Pacer(speed)
    count = 0
    for topic, value in records:
        at, key = moment(value)
        pacer.wait(at)
        while True:
            try:
                producer.produce(topic, value, key or None, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        count += 1
        producer.poll(0)
    left = producer.flush(60)
    if left or failed:
        raise KafkaTrouble(
            f"{left + len(failed)} of {count} records did not arrive: {(failed or ['time-out'])[0]}"
        )
    return count
