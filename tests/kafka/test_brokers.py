"""What exactly-once output relies on in a broker, and which part of it the embedded one lacks."""

import time

import pytest
from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.brokers import Broker, EmbeddedBroker, RealBroker
from tests.program import PATIENCE

COMMITTED, UNCOMMITTED = "read_committed", "read_uncommitted"


def transactional(broker: Broker, name: str) -> Producer:
    """A producer that has taken the name over: whoever held it before is fenced from here on."""
    # A broker that is killed is no news in these tests: no log.
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": name, "log_level": 0})
    producer.init_transactions(PATIENCE)
    return producer


def write(producer: Producer, topic: str, *values: bytes) -> None:
    """Begin a transaction and have the broker store the values; it stays open."""
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(PATIENCE) == 0


def consumer(broker: Broker, isolation: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "reader",
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 10,
        }
    )


def read(broker: Broker, topic: str, isolation: str) -> tuple[list[tuple[int, bytes | None]], int]:
    """Partition 0 from its start: (offset, value) of every record, and the offset of its end event."""
    reader = consumer(broker, isolation)
    reader.assign([TopicPartition(topic, 0, 0)])
    records: list[tuple[int, bytes | None]] = []
    while True:
        message = reader.poll(PATIENCE)
        assert message is not None, "neither a record nor the end of the partition"
        error, offset = message.error(), message.offset()
        assert offset is not None
        if error is not None:
            assert error.code() == KafkaError._PARTITION_EOF
            reader.close()
            return records, offset
        records.append((offset, message.value()))


def latest(broker: Broker, topic: str, isolation: IsolationLevel) -> int:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    wanted = TopicPartition(topic, 0)
    asked = admin.list_offsets({wanted: OffsetSpec.latest()}, isolation_level=isolation)
    offset: int = asked[wanted].result(PATIENCE).offset
    return offset


def watermark(broker: Broker, topic: str, isolation: str) -> int:
    reader = consumer(broker, isolation)
    _, high = reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=PATIENCE)
    reader.close()
    return int(high)


def stored_at(broker: Broker, topic: str, timestamp: int) -> tuple[int, int]:
    """The (kind, milliseconds) a delivery report gives for a record sent with this timestamp."""
    reports: list[tuple[int, int]] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is None
        reports.append(message.timestamp())

    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce(topic, b"x", partition=0, timestamp=timestamp, on_delivery=delivered)
    assert producer.flush(PATIENCE) == 0
    return reports[0]


def test_a_partitions_end_event_equals_the_latest_offset(broker: Broker, scope: str) -> None:
    broker.create(scope)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for value in (b"a", b"b"):
        producer.produce(scope, value, partition=0)
    assert producer.flush(PATIENCE) == 0
    assert read(broker, scope, COMMITTED) == ([(0, b"a"), (1, b"b")], 2)
    assert latest(broker, scope, IsolationLevel.READ_COMMITTED) == 2
    assert watermark(broker, scope, COMMITTED) == 2


def test_an_empty_partition_ends_at_zero(broker: Broker, scope: str) -> None:
    broker.create(scope)
    assert read(broker, scope, COMMITTED) == ([], 0)
    assert latest(broker, scope, IsolationLevel.READ_COMMITTED) == 0


def test_a_commit_takes_an_offset_so_the_end_is_not_the_last_record_plus_one(
    broker: Broker, scope: str
) -> None:
    broker.create(scope)
    producer = transactional(broker, scope)
    for value in (b"a", b"b"):
        write(producer, scope, value)
        producer.commit_transaction(PATIENCE)
    assert read(broker, scope, COMMITTED) == ([(0, b"a"), (2, b"b")], 4)
    assert latest(broker, scope, IsolationLevel.READ_COMMITTED) == 4


def test_a_successor_fences_the_producer_of_the_same_name(kafka: RealBroker, scope: str) -> None:
    kafka.create(scope)
    old = transactional(kafka, scope)
    write(old, scope, b"old")
    transactional(kafka, scope)
    with pytest.raises(KafkaException) as raised:
        old.commit_transaction(PATIENCE)
    error = raised.value.args[0]
    assert error.code() == KafkaError._FENCED
    assert error.fatal()
    with pytest.raises(KafkaException):
        old.produce(scope, b"late", partition=0)


def test_a_fenced_producer_learns_it_when_it_flushes(kafka: RealBroker, scope: str) -> None:
    kafka.create(scope)
    old = transactional(kafka, scope)
    old.begin_transaction()
    transactional(kafka, scope)
    old.produce(scope, b"late", partition=0)
    with pytest.raises(KafkaException) as raised:
        old.flush(PATIENCE)
    assert raised.value.args[0].code() == KafkaError._FENCED
    assert read(kafka, scope, UNCOMMITTED) == ([], 0)


def test_a_delivery_callback_cannot_look_at_the_error_of_a_fenced_producer(
    kafka: RealBroker, scope: str
) -> None:
    # The client calls it with its own exception already raised: what a caller catches is SystemError.
    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is not None
        error.code()

    kafka.create(scope)
    old = transactional(kafka, scope)
    old.begin_transaction()
    transactional(kafka, scope)
    old.produce(scope, b"late", partition=0, on_delivery=delivered)
    with pytest.raises(SystemError) as raised:
        old.flush(PATIENCE)
    assert isinstance(raised.value.__cause__, KafkaException)
    assert raised.value.__cause__.args[0].code() == KafkaError._FENCED


def test_a_successor_aborts_what_its_predecessor_left_open(kafka: RealBroker, scope: str) -> None:
    kafka.create(scope)
    write(transactional(kafka, scope), scope, b"left open")
    successor = transactional(kafka, scope)
    # The abort marker is in place when init_transactions returns: the tail can be read at once.
    assert read(kafka, scope, COMMITTED) == ([], 2)
    assert read(kafka, scope, UNCOMMITTED) == ([(0, b"left open")], 2)
    write(successor, scope, b"new")
    successor.commit_transaction(PATIENCE)
    assert read(kafka, scope, COMMITTED) == ([(2, b"new")], 4)


def test_an_open_transaction_holds_the_end_that_a_committed_reader_sees(
    kafka: RealBroker, scope: str
) -> None:
    kafka.create(scope)
    producer = transactional(kafka, scope)
    write(producer, scope, b"done")
    producer.commit_transaction(PATIENCE)
    write(producer, scope, b"open")
    assert latest(kafka, scope, IsolationLevel.READ_COMMITTED) == 2
    assert latest(kafka, scope, IsolationLevel.READ_UNCOMMITTED) == 3
    assert watermark(kafka, scope, COMMITTED) == 2
    assert watermark(kafka, scope, UNCOMMITTED) == 3
    assert read(kafka, scope, COMMITTED) == ([(0, b"done")], 2)
    producer.abort_transaction(PATIENCE)
    assert latest(kafka, scope, IsolationLevel.READ_COMMITTED) == 4


def test_the_cached_watermark_of_a_committed_reader_includes_open_transactions(
    kafka: RealBroker, scope: str
) -> None:
    kafka.create(scope)
    write(transactional(kafka, scope), scope, b"open")
    reader = consumer(kafka, COMMITTED)
    reader.assign([TopicPartition(scope, 0, 0)])
    end = reader.poll(PATIENCE)
    assert end is not None
    assert end.offset() == 0
    _, cached = reader.get_watermark_offsets(TopicPartition(scope, 0), cached=True)
    reader.close()
    assert cached == 1


def test_log_append_time_is_the_brokers_and_reaches_the_delivery_report(
    kafka: RealBroker, scope: str
) -> None:
    kafka.create(scope, message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    kind, at = stored_at(kafka, scope, timestamp=1000)
    assert kind == TIMESTAMP_LOG_APPEND_TIME
    assert before <= at <= time.time() * 1000


def test_create_time_is_the_producers(kafka: RealBroker, scope: str) -> None:
    kafka.create(scope)
    assert stored_at(kafka, scope, timestamp=1000) == (TIMESTAMP_CREATE_TIME, 1000)


def test_a_visible_commit_survives_the_death_of_the_broker(kafka: RealBroker) -> None:
    with RealBroker(killed=True) as own:
        own.create("events")
        producer = transactional(own, "writer")
        write(producer, "events", b"done")
        producer.commit_transaction(PATIENCE)
        # A commit returns before its marker is written. A lone broker killed in between may forget the
        # marker when it is back, and the transaction stays open until its producer commits another.
        deadline = time.monotonic() + PATIENCE
        while latest(own, "events", IsolationLevel.READ_COMMITTED) == 0:
            assert time.monotonic() < deadline
        own.kill()
        own.restart()
        records, _ = read(own, "events", COMMITTED)
        assert records == [(0, b"done")]


def test_the_embedded_broker_neither_fences_nor_isolates(mock: EmbeddedBroker, scope: str) -> None:
    # If this fails, librdkafka's mock cluster has learnt transactions: more tests could use it.
    mock.create(scope)
    old = transactional(mock, scope)
    write(old, scope, b"open")
    transactional(mock, scope)
    assert read(mock, scope, COMMITTED) == ([(0, b"open")], 1)
    old.commit_transaction(PATIENCE)


def test_the_embedded_broker_reports_no_true_time(mock: EmbeddedBroker, scope: str) -> None:
    mock.create(scope)
    assert stored_at(mock, scope, timestamp=1000) == (TIMESTAMP_LOG_APPEND_TIME, 1234)
