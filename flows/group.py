"""Committed offsets of a consumer group, for tools that show a lag. Nothing of oncue's reads them."""

from __future__ import annotations

import time

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from flows import kafka
from flows.kafka import Place

PATIENCE = 3.0  # seconds for an answer; without a broker the offsets are simply older

Offsets = list[tuple[Place, int]]


class Group:
    """Commits without waiting.

    Not by an admin client: librdkafka 2.16 aborts the process ("eonce->refcnt > 0", its issue 4605) when
    the group's coordinator goes away at the wrong moment. A consumer gives up a commit that is on its
    way, and so closes, only after its session timeout (measured with the broker killed: 44 s with the
    default, 3 s with this one). It never joins the group, so the timeout means nothing else.
    """

    def __init__(self, brokers: str, name: str) -> None:
        self._consumer = kafka.consumer(
            brokers,
            name,
            **{
                "session.timeout.ms": round(PATIENCE * 1000),
                "heartbeat.interval.ms": 1000,
                "on_commit": self._answered,
            },
        )
        self._asked: Offsets = []
        self._open = False
        self._failed = False

    def commit(self, offsets: Offsets) -> None:
        """To be called again and again: does nothing while it is unanswered or known to be done."""
        self._consumer.poll(0)
        if not self._open and (self._failed or offsets != self._asked):
            self._ask(offsets)

    def finish(self, offsets: Offsets) -> None:
        """Commit and wait for the answer, whatever it is."""
        self._ask(offsets)
        until = time.monotonic() + PATIENCE
        while self._open and time.monotonic() < until:
            self._consumer.poll(0.1)
        self._consumer.close()

    def _ask(self, offsets: Offsets) -> None:
        parts = [TopicPartition(*place, offset) for place, offset in offsets]
        self._asked, self._open, self._failed = offsets, True, False
        try:
            self._consumer.commit(offsets=parts, asynchronous=True)
        except KafkaException:
            self._open, self._failed = False, True

    def _answered(self, error: KafkaError | None, parts: list[TopicPartition]) -> None:
        self._open = False
        self._failed = error is not None or any(part.error is not None for part in parts)
