"""Input topics that grow, are deleted and made again, and what lag tools see of a run."""

import json

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions

from tests.brokers import RealBroker
from tests.events import track
from tests.flows.conftest import Maker
from tests.flows.running import Scope
from tests.flows.test_run import LATER, STORY
from tests.flows.test_trouble import refused
from tests.program import PATIENCE, until


def views(first: int, count: int, minute: float = 10) -> list[bytes]:
    return [
        track("Product Viewed", minute, id=f"v{n}", user=f"u{n}", product_id="p")
        for n in range(first, first + count)
    ]


def committed(scope: Scope) -> dict[str, int]:
    """What lag tools see: topic/partition -> offset of the group."""
    group = f"oncue-{scope.name}"
    client = AdminClient({"bootstrap.servers": scope.broker.bootstrap, "log_level": 0})
    asked = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=5)
    try:
        found = asked[group].result(PATIENCE).topic_partitions
    except KafkaException:  # the broker's first group ever takes a while
        return {}
    return {f"{it.topic}/{it.partition}": it.offset for it in found}


def accounted(scope: Scope) -> dict[str, int]:
    said = scope.ask("ledger", "--config", scope.config, "--brokers", scope.broker.bootstrap, "--json")
    found = json.loads(said)
    assert found["balanced"]
    counts: dict[str, int] = found["totals"][scope.topic("web")]
    return {name: count for name, count in counts.items() if count}


def grow(scope: Scope, count: int) -> None:
    topic = scope.topic("web")
    client = AdminClient({"bootstrap.servers": scope.broker.bootstrap, "log_level": 0})
    client.create_partitions([NewPartitions(topic, count)])[topic].result(PATIENCE)


def make_anew(scope: Scope, *values: bytes) -> None:
    topic = scope.topic("web")
    client = AdminClient({"bootstrap.servers": scope.broker.bootstrap, "log_level": 0})
    client.delete_topics([topic])[topic].result(PATIENCE)
    until(lambda: topic not in client.list_topics(timeout=PATIENCE).topics, "the topic is gone")
    scope.create_topics()
    until(lambda: topic in client.list_topics(timeout=PATIENCE).topics, "the topic is there again")
    scope._producer = None  # it remembers the old topic
    scope.send(*values)


def test_the_committed_offsets_follow_the_epochs_and_a_clean_stop(kafka: RealBroker, scoped: Maker) -> None:
    scope = scoped(kafka)
    scope.send(*views(0, 7), partition=0)
    scope.send(*views(7, 3), partition=2)
    program = scope.run()
    wanted = {f"{scope.topic('web')}/{p}": end for p, end in enumerate((7, 0, 3, 0))}
    until(lambda: committed(scope) == wanted, "the offsets of the first epochs, while it runs")
    before = scope.size("order")
    scope.send(*views(10, 5), partition=3)
    until(lambda: scope.size("order") > before, "a cut of the last events")
    assert program.stop() == 0, program.said
    assert committed(scope) == wanted | {f"{scope.topic('web')}/3": 5}


@pytest.mark.parametrize("workers", [1, 2])
def test_new_partitions_are_read_from_their_beginning_by_a_run_that_goes_on(
    kafka: RealBroker, scoped: Maker, workers: int
) -> None:
    scope = scoped(kafka, partitions=2, refresh="200ms")
    scope.send(*STORY, partition=1)
    program = scope.run("--workers", workers)
    scope.await_records("dead-letters", 1, program)
    grow(scope, 5)
    scope._producer = None  # it remembers how many there were
    scope.send(*views(0, 6), partition=4)
    until(lambda: committed(scope).get(f"{scope.topic('web')}/4") == 6, "the new partition is read")
    assert program.running, program.said
    assert "new partitions" in program.said
    scope.send(*views(6, 4), partition=3)
    scope.send(LATER, partition=0)
    scope.finish()
    assert program.wait() == 0, program.said
    assert accounted(scope) == {"in": 21, "accepted": 19, "duplicate": 1, "dead_lettered": 1}
    assert [record.body["key"] for record in scope.records("triggers")] == ["k1"]


def test_a_topic_that_was_made_anew_stops_the_start_until_its_loss_is_accepted(
    kafka: RealBroker, scoped: Maker
) -> None:
    scope = scoped(kafka)
    scope.send(*views(0, 5))
    first = scope.run()
    until(lambda: committed(scope).get(f"{scope.topic('web')}/0") == 5, "all is read")
    first.end()  # whatever it has not kept yet names offsets of the old topic
    make_anew(scope, *views(100, 8, minute=20))  # more than it held: offsets alone would not tell
    refused(scope.run(), f"{scope.topic('web')}/0", "made anew",
            "--on-gap earliest", "--on-gap latest")  # fmt: skip
    scope.complete("--on-gap", "earliest")
    assert accounted(scope)["accepted"] == 13
    again = scope.run()  # accepted once and for all
    assert again.wait() == 0, again.said


def test_a_topic_that_is_made_anew_ends_a_run_that_reads_it(kafka: RealBroker, scoped: Maker) -> None:
    scope = scoped(kafka, refresh="200ms")
    scope.send(*views(0, 5))
    program = scope.run()
    until(lambda: committed(scope).get(f"{scope.topic('web')}/0") == 5, "all is read")
    make_anew(scope, *views(100, 8, minute=20))
    refused(program, scope.topic("web"), "made anew", "--on-gap earliest", "--on-gap latest")
