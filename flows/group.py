"""Committed offsets of a consumer group, for tools that show a lag. Nothing of oncue's reads them."""

from __future__ import annotations

from concurrent.futures import Future, wait
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from flows.kafka import Place

PATIENCE = 3.0  # seconds for an answer; without a broker the offsets are simply older

Offsets = list[tuple[Place, int]]


class Group:
    """Commits without waiting. An admin client, because a consumer with a commit on its way would not
    close for 45 s while the broker is away."""

    def __init__(self, brokers: str, name: str) -> None:
        self._name = name
        self._admin = AdminClient({"bootstrap.servers": brokers, "log_level": 2})
        self._asked: Offsets = []
        self._answer: Future[Any] | None = None

    def commit(self, offsets: Offsets) -> None:
        """To be called again and again: does nothing while it is unanswered or known to be done."""
        if self._answer is not None:
            if not self._answer.done():
                return
            if offsets == self._asked and self._answer.exception() is None:
                return
        self._ask(offsets)

    def finish(self, offsets: Offsets) -> None:
        """Commit and wait for the answer, whatever it is."""
        wait([self._ask(offsets)], PATIENCE)

    def _ask(self, offsets: Offsets) -> Future[Any]:
        parts = [TopicPartition(*place, offset) for place, offset in offsets]
        asked = self._admin.alter_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(self._name, parts)], request_timeout=PATIENCE
        )
        self._asked, self._answer = offsets, asked[self._name]
        return self._answer
