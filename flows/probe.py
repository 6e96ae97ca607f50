"""Proof of idleness: a fresh answer of the broker that there is nothing more in a partition."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, NamedTuple

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from flows import kafka

_LATEST = OffsetSpec.latest()


class Answer(NamedTuple):
    """The broker, asked when `until` was the newest event time, ended `partition` at `end`."""

    partition: int
    end: int
    until: int


class Probe:
    """One question at a time, asked without waiting for the answer. No answer proves nothing."""

    def __init__(self, brokers: str, places: list[tuple[str, int]]) -> None:
        self._brokers = brokers
        self._admin = self._client()
        self._parts = [TopicPartition(*place) for place in places]
        self._open: dict[int, Future[Any]] = {}
        self._until = -1
        self.failed = False  # whether the last question went unanswered

    @property
    def busy(self) -> bool:
        return bool(self._open)

    def ask(self, indexes: list[int], until: int) -> None:
        asked = self._admin.list_offsets(
            {self._parts[index]: _LATEST for index in indexes},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=5.0,
        )
        by_part = {(part.topic, part.partition): future for part, future in asked.items()}
        self._open = {
            index: by_part[self._parts[index].topic, self._parts[index].partition] for index in indexes
        }
        self._until = until

    def answers(self) -> list[Answer]:
        """What has been answered; empty until all of the question is."""
        if not self._open or not all(future.done() for future in self._open.values()):
            return []
        answered, self._open = self._open, {}
        found = [
            Answer(index, future.result().offset, self._until)
            for index, future in answered.items()
            if future.exception() is None and future.result().offset >= 0  # without a broker: -1001
        ]
        self.failed = len(found) < len(answered)
        if self.failed:
            # The client keeps what it knows of leaders: after an outage it would be refused for minutes.
            self._admin = self._client()
        return found

    def _client(self) -> AdminClient:
        return kafka.admin(self._brokers)
