"""Committed offsets of a consumer group, for tools that show a lag. Nothing of oncue's reads them."""

from __future__ import annotations

from concurrent.futures import Future, wait
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

PATIENCE = 3.0  # seconds for an answer; without a broker the offsets are simply older


class Group:
    """Commits without waiting. An admin client, because a consumer with a commit on its way would not
    close for 45 s while the broker is away."""

    def __init__(self, brokers: str, name: str) -> None:
        self._name = name
        self._admin = AdminClient({"bootstrap.servers": brokers, "log_level": 2})
        self._answer: Future[Any] | None = None

    def commit(self, offsets: list[TopicPartition]) -> None:
        """Left out while the commit before is not answered: there will be a newer one."""
        if self._answer is not None and not self._answer.done():
            return
        wanted = ConsumerGroupTopicPartitions(self._name, offsets)
        (self._answer,) = self._admin.alter_consumer_group_offsets(
            [wanted], request_timeout=PATIENCE
        ).values()

    def finish(self, offsets: list[TopicPartition]) -> None:
        """Commit and wait for the answer, whatever it is."""
        self._answer = None
        self.commit(offsets)
        assert self._answer is not None
        wait([self._answer], PATIENCE)
