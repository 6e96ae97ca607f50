"""What the broker says of topics: their identity and how many partitions they have.

A topic that was deleted and made again has another id, whatever its offsets are.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from flows import kafka
from flows.kafka import SOON, KafkaTrouble

ANEW = (
    "it was deleted and made anew (its id changed), so the offsets that were read are not those of the "
    "records it holds now"
)
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"  # of brokers before 2.8


def identities(brokers: str, topics: list[str]) -> dict[str, str]:
    """The id of each topic that has one; none at all on the embedded broker. Raises KafkaTrouble."""
    admin = kafka.admin(brokers)
    try:
        if _is_embedded(admin):
            return {}
        asked = admin.describe_topics(TopicCollection(topics), request_timeout=SOON)
        found = {topic: _id(future.result()) for topic, future in asked.items()}
    except KafkaException as error:
        raise kafka.away(brokers, error) from None
    return {topic: id for topic, id in found.items() if id != _NO_ID}


def is_embedded(brokers: str) -> bool:
    """Whether this is librdkafka's mock cluster. Raises KafkaTrouble."""
    try:
        return _is_embedded(kafka.admin(brokers))
    except KafkaException as error:
        raise kafka.away(brokers, error) from None


def waking(brokers: str) -> dict[str, Any]:
    """A broker answers a fetch as soon as there is something. Only the embedded one lets the time run out.
    (Measured on a real one with an idle consumer: 0.19 of a core of the broker's with 5 ms, 0.04, which is
    what it takes by itself, with 100 ms; latency the same.)"""
    return {} if is_embedded(brokers) else {"fetch.wait.max.ms": 100}


def _is_embedded(admin: AdminClient) -> bool:
    """It names no broker as its controller."""
    cluster = admin.list_topics(timeout=SOON)
    return cluster.controller_id not in cluster.brokers


class Watch:
    """Looks again every `every` seconds, without waiting for the answer.

    Parameters
    ----------
    counts
        Topics and the number of partitions that are read.
    ids
        What `identities` said of them; without, nothing is looked at.
    """

    def __init__(self, brokers: str, counts: dict[str, int], ids: dict[str, str], every: float) -> None:
        self._counts = {topic: count for topic, count in counts.items() if topic in ids}
        self._ids = ids
        self._every = every
        self._next = 0.0
        self._open: dict[str, Future[Any]] = {}
        self._admin = kafka.admin(brokers) if self._counts else None

    def grown(self, now: float) -> bool:
        """Whether the last answer named a partition that is not read yet. No answer says nothing.

        Raises KafkaTrouble when a topic was made anew.
        """
        if self._admin is None or now < self._next:
            return False
        if not self._open:
            self._open = self._admin.describe_topics(
                TopicCollection([*self._counts]), request_timeout=self._every
            )
            return False
        if not all(future.done() for future in self._open.values()):
            return False
        answered, self._open = self._open, {}
        self._next = now + self._every
        more = False
        for topic, future in answered.items():
            if future.exception() is not None:
                continue
            about = future.result()
            if _id(about) not in (self._ids[topic], _NO_ID):
                raise KafkaTrouble(
                    f"{topic}: {ANEW}. Start again with --on-gap earliest (read all of the new topic) or "
                    "--on-gap latest (only what comes from now on); what the old one held unread is lost"
                )
            more = more or len(about.partitions) > self._counts[topic]
        return more


def _id(about: Any) -> str:
    return str(about.topic_id)
