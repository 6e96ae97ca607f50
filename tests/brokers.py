"""The two brokers the integration suite runs against.

`EmbeddedBroker` is librdkafka's mock cluster: there in a tenth of a second, no Java, but every topic has
four partitions, transactions mean nothing and offsets cannot be found by time. `RealBroker` is Apache
Kafka. Both give `bootstrap`, `real` and `create`.

`python -m tests.brokers` hosts the embedded one, as the fixtures do: it prints its address and lives
until its standard input is closed.
"""

import subprocess
import sys
from pathlib import Path
from typing import Protocol, Self

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.kafka.broker import KafkaBroker
from tests.program import PATIENCE

EMBEDDED_PARTITIONS = 4


class Broker(Protocol):
    bootstrap: str
    real: bool

    def create(self, topic: str, partitions: int = EMBEDDED_PARTITIONS, **config: object) -> None:
        """Make a topic. `cleanup_policy="compact"` sets `cleanup.policy`, and so on."""


class RealBroker(KafkaBroker):
    """Apache Kafka. A test that kills or pauses its broker makes its own: `RealBroker(killed=True)`."""

    real = True

    def __init__(self, killed: bool = False) -> None:
        super().__init__(brief=True, killed=killed)

    def create(self, topic: str, partitions: int = EMBEDDED_PARTITIONS, **config: object) -> None:
        settings = {name.replace("_", "."): str(value) for name, value in config.items()}
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        wanted = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=settings)
        admin.create_topics([wanted])[topic].result(PATIENCE)

    def trim(self, topic: str, offset: int, partition: int = 0) -> None:
        """Remove what is before an offset, as retention does."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        wanted = TopicPartition(topic, partition, offset)
        assert admin.delete_records([wanted])[wanted].result(PATIENCE).low_watermark == offset


class EmbeddedBroker:
    """librdkafka's mock cluster, in a process of its own."""

    real = False
    bootstrap = ""

    def create(self, topic: str, partitions: int = EMBEDDED_PARTITIONS, **config: object) -> None:
        """Make the topic by asking for it. The broker has no topic settings: `config` has no effect."""
        if partitions != EMBEDDED_PARTITIONS:
            raise ValueError(f"topics of the embedded broker have {EMBEDDED_PARTITIONS} partitions")
        client = Producer({"bootstrap.servers": self.bootstrap})
        asked = client.list_topics(topic, timeout=PATIENCE).topics[topic]
        if asked.error is not None or len(asked.partitions) != EMBEDDED_PARTITIONS:
            raise RuntimeError(f"the embedded broker did not create {topic}: {asked.error}")

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.brokers"],
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C ends the tests, and those end it
        )
        assert self._process.stdout is not None
        self.bootstrap = self._process.stdout.readline().strip()
        if not self.bootstrap:
            raise RuntimeError("the embedded broker did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # closes its standard input and waits


def host_embedded() -> None:
    # It logs a line for every connection that ends.
    cluster = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1, "log_level": 0})
    brokers = cluster.list_topics(timeout=PATIENCE).brokers
    print(",".join(f"{b.host}:{b.port}" for b in brokers.values()), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    host_embedded()
