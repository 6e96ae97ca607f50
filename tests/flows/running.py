"""A scope of its own on a broker, and the real program run on it as its users run it.

Nothing here knows how the program works: events go in through Kafka, what comes out is read with a plain
read_committed consumer, and the program is a process with an exit code and something to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from flows import lookup
from flows import topics as making
from flows.kafka import bounds
from operators import playbook as playbooks
from state.errors import StateError
from tests.brokers import Broker
from tests.program import PATIENCE, Program, until

PLAYBOOK = """
scope: {scope}
sources: {{{sources}}}
identifiers: {{user_id: {{limit: 1}}, email: {{}}, anonymous_id: {{}}}}
reference: {{{reference}}}
measures:
  adds: {{on: [Product Added], value: properties.product_id}}
  orders: {{on: [Order Completed], value: properties.total, unit: money}}
features:
  adds_1h: {{measure: adds, aggregate: count, window: 1h}}
  revenue: {{measure: orders, aggregate: sum}}
triggers:
  cart_abandoned:
    kind: absence
    on: [Product Added]
    basket: true
    key: properties.cart_id
    unless: [{{on: Order Completed, key: properties.cart_id}}]
    wait: {wait}
    channel: email
    purpose: marketing
    cooldown: 1h
    expires: 24h
    facts: [adds_1h, revenue]
engine: {{{engine}}}
"""
# `hold`: the events are of long ago, a quiet moment must not bring time to today.
ENGINE = {"shards": "2", "epoch": "200ms", "idle": "hold", "heartbeat": "50ms", "alignment": "1h"}


class Record(NamedTuple):
    partition: int
    offset: int
    key: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return orjson.loads(self.raw)


class Scope:
    """Playbook, topics and state directory of one scope. `close` ends every program that was started.

    `wait` is the trigger's, `reference` names kinds of reference data, `engine` are settings of the
    playbook's engine section.
    """

    def __init__(
        self,
        broker: Broker,
        name: str,
        folder: Path,
        sources: tuple[str, ...] = ("web",),
        wait: str = "15m",
        reference: tuple[str, ...] = (),
        partitions: int = 4,
        **engine: str,
    ) -> None:
        self.broker, self.name, self.folder = broker, name, folder
        self.state = folder / "state"
        self.config = folder / "playbook.yaml"
        self._programs: list[Program] = []
        settings = ", ".join(f"{key}: {value}" for key, value in {**ENGINE, **engine}.items())
        listed = ", ".join(f"{source}: {{}}" for source in sources)
        kinds = ", ".join(f"{kind}: {{}}" for kind in reference)
        self.config.write_text(
            PLAYBOOK.format(scope=name, sources=listed, reference=kinds, wait=wait, engine=settings)
        )
        self.book = playbooks.load(self.config.read_text())
        self._sources = sources
        self._counts = partitions
        self._producer: Producer | None = None
        self._client: Consumer | None = None

    def create_topics(self) -> None:
        making.create(self.book, self.broker.bootstrap, self._counts)

    def topic(self, name: str) -> str:
        return f"{self.name}.{name}"

    # --- programs ---------------------------------------------------------------------------------------

    def oncue(self, *arguments: object, **more: Any) -> Program:
        program = Program(self.folder / f"program-{len(self._programs)}.log", *arguments, **more)
        self._programs.append(program)
        return program

    def run(self, *more: object, **settings: Any) -> Program:
        return self.oncue(
            "run", "--config", self.config, "--brokers", self.broker.bootstrap, "--state", self.state, *more,
            **settings,
        )  # fmt: skip

    def ask(self, *arguments: object, code: int = 0) -> str:
        """Run a command to its end; what it said."""
        program = self.oncue(*arguments)
        assert program.wait() == code, program.said
        return program.said

    def known(self, customer: str, program: Program) -> dict[str, Any] | None:
        """What the newest checkpoints of a running program hold of a customer, by any identifier."""
        assert program.running, program.said
        try:
            return lookup.customer(self.state / self.name, customer)
        except (StateError, FileNotFoundError):  # it has only begun
            return None

    def finish(self) -> None:
        making.finish(self.book, self.broker.bootstrap)

    def complete(self, *more: object) -> Program:
        """Announce the end of the input and run until all of it is worked off."""
        self.finish()
        program = self.run(*more)
        assert program.wait() == 0, program.said
        return program

    def close(self) -> None:
        for program in self._programs:
            program.end()
        if self._client is not None:
            self._client.close()

    # --- Kafka -------------------------------------------------------------------------------------------

    def send(
        self, *values: bytes | None, source: str = "web", partition: int = 0, traceparent: str = ""
    ) -> None:
        """Bring to one partition of a source's topic; returns when the broker has all of it."""
        if self._producer is None:
            self._producer = Producer(
                {"bootstrap.servers": self.broker.bootstrap, "linger.ms": 1, "message.max.bytes": 8_000_000,
                 "enable.idempotence": True, "log_level": 0}
            )  # fmt: skip
        failed: list[KafkaError] = []
        for value in values:
            self._producer.produce(
                self.topic(source), value, partition=partition,
                headers=[("traceparent", traceparent)] if traceparent else None,
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )  # fmt: skip
        assert self._producer.flush(PATIENCE) == 0, "the broker did not take the events"
        assert not failed, failed

    def records(self, name: str) -> list[Record]:
        """All committed records of one of the scope's topics, partition by partition."""
        return committed(self.broker, self.topic(name))

    def size(self, name: str) -> int:
        """The end offsets of a topic, added up, as a read_committed consumer sees them."""
        if self._client is None:
            self._client = _client(self.broker)
        client, topic = self._client, self.topic(name)
        parts = client.list_topics(topic, timeout=PATIENCE).topics[topic].partitions
        return sum(bounds(client, (topic, p))[1] for p in parts)

    def await_records(self, name: str, count: int, program: Program | None = None) -> list[Record]:
        """At least so many records, as soon as they are there."""
        read = 0  # so far; ends are cheaper to ask for than records

        def enough() -> list[Record]:
            nonlocal read
            assert program is None or program.running, program.said
            size = self.size(name)
            if size < count or size == read:
                return []
            found, read = self.records(name), size
            return found if len(found) >= count else []

        found: list[Record] = until(enough, f"{count} records in {self.topic(name)}")
        return found


@contextmanager
def reader(broker: Broker, isolation: str = "read_committed") -> Iterator[Consumer]:
    client = _client(broker, isolation)
    try:
        yield client
    finally:
        client.close()


def _client(broker: Broker, isolation: str = "read_committed") -> Consumer:
    return Consumer(
        {"bootstrap.servers": broker.bootstrap, "group.id": "test-reader", "enable.auto.commit": False,
         "isolation.level": isolation, "enable.partition.eof": True, "auto.offset.reset": "earliest",
         "fetch.wait.max.ms": 5, "log_level": 0}
    )  # fmt: skip


def committed(broker: Broker, topic: str) -> list[Record]:
    """What a read_committed consumer sees of a topic, from its start to its end."""
    found: list[Record] = []
    with reader(broker) as client:
        parts = set(client.list_topics(topic, timeout=PATIENCE).topics[topic].partitions)
        client.assign([TopicPartition(topic, p, 0) for p in parts])
        while parts:
            message = client.poll(PATIENCE)
            assert message is not None, f"neither a record nor the end of {topic}"
            if message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                parts.discard(message.partition())
                continue
            found.append(
                Record(
                    message.partition(), message.offset(), (message.key() or b"").decode(),
                    {name: value.decode() for name, value in message.headers() or []}, message.value() or b"",
                )
            )  # fmt: skip
    return sorted(found, key=lambda record: record[:2])
