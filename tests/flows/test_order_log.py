"""The order topic under several incarnations: what counts, what is void, who has to go."""

import pytest
from confluent_kafka import Producer

from flows.kafka import KafkaTrouble
from flows.orderlog import OrderLog, Superseded
from operators.cuts import Cut, Opened
from tests.brokers import Broker, RealBroker
from tests.program import PATIENCE, until


def marker(name: str = "playbook") -> Opened:
    return Opened(name, [("shop.web", 0, 0)])


def log_of(broker: Broker, topic: str, position: int = 0, incarnation: int = -1) -> OrderLog:
    return OrderLog(broker.bootstrap, topic, position, incarnation, marker() if incarnation >= 0 else None)


def begin(broker: Broker, topic: str) -> OrderLog:
    """The next incarnation on an order whose cuts are all in the state, or are to be repeated."""
    log = log_of(broker, topic)
    log.read()
    log.open(marker())
    return log


def append(log: OrderLog, number: int) -> int:
    """A cut, acknowledged and confirmed; its offset."""
    send(log, number)
    return log.confirm()


def send(log: OrderLog, number: int) -> None:
    log.append(Cut(log.incarnation, number, 10 * number, {0: number}, 1))
    until(lambda: log.acknowledged() is not None, "the acknowledgement")


def numbers(broker: Broker, topic: str, position: int = 0, incarnation: int = -1) -> list[int]:
    return [it.cut.number for it in log_of(broker, topic, position, incarnation).read()]


def test_cuts_come_back_in_order_with_the_marker_that_explains_them(broker: Broker, scope: str) -> None:
    broker.create(scope)
    log = begin(broker, scope)
    assert [append(log, n) for n in (1, 2, 3)] == [1, 2, 3]
    found = log_of(broker, scope).read()
    assert [(it.offset, it.cut.number, it.cut.ends) for it in found] == [
        (1, 1, {0: 1}),
        (2, 2, {0: 2}),
        (3, 3, {0: 3}),
    ]
    assert all(it.marker == marker() for it in found)


def test_only_cuts_behind_the_position_of_the_state_come_back(broker: Broker, scope: str) -> None:
    broker.create(scope)
    log = begin(broker, scope)
    second = [append(log, n) for n in (1, 2, 3)][1]
    assert numbers(broker, scope, second + 1, log.incarnation) == [3]
    assert numbers(broker, scope, second + 2, log.incarnation) == []


def test_cuts_of_an_older_incarnation_after_a_newer_marker_are_void(broker: Broker, scope: str) -> None:
    broker.create(scope)
    old = begin(broker, scope)
    append(old, 1)
    new = begin(broker, scope)
    send(old, 2)  # the old one does not know yet
    append(new, 2)
    send(old, 3)
    reader = log_of(broker, scope)
    assert [(it.cut.incarnation, it.cut.number) for it in reader.read()] == [
        (old.incarnation, 1), (new.incarnation, 2),
    ]  # fmt: skip
    assert reader.void == 2


def test_the_superseded_one_learns_it_at_its_next_confirm(broker: Broker, scope: str) -> None:
    broker.create(scope)
    old = begin(broker, scope)
    append(old, 1)
    new = begin(broker, scope)
    send(old, 2)
    with pytest.raises(
        Superseded, match=f"another oncue took over this scope \\({scope}/0/{new.incarnation}\\)"
    ):
        old.confirm()


def test_the_newer_one_is_not_stopped_by_what_its_predecessor_still_appends(
    broker: Broker, scope: str
) -> None:
    broker.create(scope)
    old = begin(broker, scope)
    new = begin(broker, scope)
    send(old, 1)
    assert append(new, 1) == 3
    assert append(new, 2) == 4


def test_what_was_appended_between_reading_and_opening_is_found_by_opening(
    broker: Broker, scope: str
) -> None:
    broker.create(scope)
    old = begin(broker, scope)
    append(old, 1)
    new = log_of(broker, scope)
    assert [it.cut.number for it in new.read()] == [1]
    append(old, 2)
    assert [it.cut.number for it in new.open(marker())] == [2]
    assert new.incarnation == 3


def test_of_three_incarnations_only_the_last_may_go_on(broker: Broker, scope: str) -> None:
    broker.create(scope)
    first, second, third = (begin(broker, scope) for _ in range(3))
    append(third, 1)
    for late in (first, second):
        send(late, 1)
        with pytest.raises(Superseded):
            late.confirm()
    assert numbers(broker, scope) == [1]


def test_what_somebody_else_wrote_is_an_error_that_names_the_record(broker: Broker, scope: str) -> None:
    broker.create(scope)
    append(begin(broker, scope), 1)
    stranger = Producer({"bootstrap.servers": broker.bootstrap})
    stranger.produce(scope, b"hello", partition=0)
    assert stranger.flush(PATIENCE) == 0
    with pytest.raises(KafkaTrouble, match=f"{scope}/0/2 is not a cut .*only oncue may write there"):
        log_of(broker, scope).read()


def test_a_topic_that_ends_before_the_state_was_made_anew(broker: Broker, scope: str) -> None:
    broker.create(scope)
    append(begin(broker, scope), 1)
    with pytest.raises(
        KafkaTrouble, match=f"{scope} ends at offset 2, but the state was made up to 9.*made anew"
    ):
        log_of(broker, scope, 9, 0).read()


def test_a_topic_that_lost_cuts_the_state_needs_is_an_error(kafka: RealBroker, scope: str) -> None:
    kafka.create(scope)
    log = begin(kafka, scope)
    for number in (1, 2, 3):
        append(log, number)
    kafka.trim(scope, 3)
    assert numbers(kafka, scope, 3, log.incarnation) == [3]
    with pytest.raises(KafkaTrouble, match=f"{scope} begins at offset 3, but the state needs it from 1"):
        log_of(kafka, scope, 1, log.incarnation).read()


def test_the_time_of_an_acknowledgement_is_the_brokers(kafka: RealBroker, scope: str) -> None:
    kafka.create(scope, message_timestamp_type="LogAppendTime")
    log = begin(kafka, scope)
    first = log.broker_time
    append(log, 1)
    assert 1_700_000_000_000 < first <= log.broker_time
