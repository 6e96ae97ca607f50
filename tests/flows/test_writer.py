"""The transactional writer: what it commits, whom it gives way to, what it says when it cannot go on."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from flows.kafka import Interrupted, KafkaTrouble
from flows.writer import Fenced, Outgoing, Writer
from schemas.topics import LARGEST
from tests.brokers import Broker, RealBroker
from tests.flows.running import committed, reader
from tests.program import PATIENCE, until


def out(topic: str, value: bytes, key: str = "k") -> Outgoing:
    return Outgoing(topic, 0, key, value, [("n", b"1")])


@contextmanager
def writing(broker: Broker, name: str, *topics: str) -> Iterator[Writer]:
    writer = Writer(broker.bootstrap, name, [(topic, 0) for topic in topics])
    writer.start()
    try:
        yield writer
    finally:
        writer.close()


def values(broker: Broker, topic: str) -> list[bytes]:
    return [record.raw for record in committed(broker, topic)]


def left_open(broker: Broker, name: str, topic: str, value: bytes) -> Producer:
    """A transaction of the same name that has begun and does not end."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": name, "log_level": 0})
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    producer.produce(topic, value, partition=0)
    assert producer.flush(PATIENCE) == 0
    return producer


def test_what_was_flushed_can_be_read_in_the_order_it_was_sent(broker: Broker, scope: str) -> None:
    broker.create(scope)
    sent = [b"%d" % n for n in range(3000)]
    with writing(broker, scope, scope) as writer:
        for start in range(0, len(sent), 100):
            writer.send([out(scope, value) for value in sent[start : start + 100]])
        ends = writer.flush()
        found = committed(broker, scope)
        assert [record.raw for record in found] == sent
        assert ends[scope] >= found[-1].offset + 1
        assert writer.flush() == ends


def test_a_flush_of_nothing_returns_at_once(broker: Broker, scope: str) -> None:
    broker.create(scope)
    with writing(broker, scope, scope) as writer:
        writer.send([])
        assert writer.flush() == {}


def test_a_successor_aborts_what_a_dead_writer_left_open(kafka: RealBroker, scope: str) -> None:
    kafka.create(scope)
    left_open(kafka, scope, scope, b"never committed")
    with writing(kafka, scope, scope) as writer:
        writer.send([out(scope, b"new")])
        writer.flush()
    assert values(kafka, scope) == [b"new"]


def test_a_fenced_writer_says_so_and_adds_nothing(kafka: RealBroker, scope: str) -> None:
    kafka.create(scope)
    with writing(kafka, scope, scope) as old:
        old.send([out(scope, b"old")])
        old.flush()
        with writing(kafka, scope, scope) as new:
            old.send([out(scope, b"too late")])
            with pytest.raises(Fenced, match=scope):
                old.flush()
            with pytest.raises(Fenced):
                old.send([out(scope, b"much too late")])
            new.send([out(scope, b"new")])
            new.flush()
    assert values(kafka, scope) == [b"old", b"new"]


def test_a_record_over_a_topics_limit_is_an_error_that_names_topic_and_sizes(
    kafka: RealBroker, scope: str
) -> None:
    kafka.create(scope, max_message_bytes=5000)
    with writing(kafka, scope, scope) as writer:
        writer.send([out(scope, bytes(range(256)) * 40)])  # 10,240 bytes, more than lz4 makes of it
        writer.flush()
    noise = b"".join(n.to_bytes(8, "big") for n in range(0, 10**16, 10**12))
    with writing(kafka, f"{scope}-2", scope) as writer:
        writer.send([out(scope, noise)])
        with pytest.raises(KafkaTrouble) as raised:
            writer.flush()
    said = str(raised.value)
    assert f"{scope} does not take a record of {len(noise):,} bytes" in said
    assert "max.message.bytes" in said
    assert f"to {LARGEST} at most" in said
    assert len(values(kafka, scope)) == 1


def test_a_record_over_any_limit_is_an_error_too(broker: Broker, scope: str) -> None:
    broker.create(scope)
    with writing(broker, scope, scope) as writer:
        writer.send([out(scope, b"x" * (LARGEST + 1))])
        with pytest.raises(KafkaTrouble, match=f"{scope} does not take a record of {LARGEST + 1:,} bytes"):
            writer.flush()


def test_a_topic_that_is_gone_is_an_error_with_a_reason_in_words(kafka: RealBroker, scope: str) -> None:
    kafka.create(scope)
    with pytest.raises(KafkaTrouble, match=f"cannot read the bounds of {scope}-missing/0"):
        Writer(kafka.bootstrap, scope, [(scope, 0), (f"{scope}-missing", 0)])


def test_nothing_hangs_after_a_broker_was_killed_right_behind_a_commit(own: RealBroker, scope: str) -> None:
    """It may have acknowledged the commit and forgotten it; then the records hold back all that follow."""
    own.create(scope)
    producer = left_open(own, scope, scope, b"perhaps")
    producer.commit_transaction(PATIENCE)
    own.kill()
    own.restart()
    with writing(own, scope, scope) as writer:
        with reader(own, "read_committed") as seen, reader(own, "read_uncommitted") as there:
            until(lambda: end_of(seen, scope) == end_of(there, scope), "nothing holds readers back")
        writer.send([out(scope, b"after")])
        writer.flush()
    assert values(own, scope)[-1] == b"after"


def test_what_cannot_be_read_after_its_commit_interrupts_the_run(
    kafka: RealBroker, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it starts again, which is what mends a transaction that a dead broker left hanging."""
    monkeypatch.setattr("flows.writer.VISIBLE", 0.5)
    kafka.create(scope)
    with writing(kafka, scope, scope) as writer:
        left_open(kafka, f"{scope}-other", scope, b"holds back")
        writer.send([out(scope, b"committed")])
        with pytest.raises(Interrupted, match=f"{scope}/0: records cannot be read .* new start"):
            writer.flush()
    assert values(kafka, scope) == []


def test_a_transaction_of_somebody_else_is_an_error_that_names_the_partition(
    kafka: RealBroker, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.writer.VISIBLE", 0.5)
    kafka.create(scope)
    left_open(kafka, f"{scope}-other", scope, b"holds back")
    with pytest.raises(KafkaTrouble, match=f"{scope}/0: a transaction that oncue did not open"):
        Writer(kafka.bootstrap, scope, [(scope, 0)])


def end_of(client: Consumer, topic: str) -> int:
    return int(client.get_watermark_offsets(TopicPartition(topic, 0), timeout=PATIENCE)[1])
