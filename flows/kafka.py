"""Kafka clients as oncue needs them, and their errors in words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from flows import security
from flows.telemetry import log
from schemas import topics
from schemas.mendable import Mendable

Place = tuple[str, int]  # topic, partition
Client = TypeVar("Client")
Record = Any  # confluent_kafka.Message; its stubs call every accessor optional

SOON = 10.0  # seconds a start waits for the broker before it gives up
REMIND = 60.0  # seconds between two complaints about the same trouble
_told = -REMIND


class KafkaTrouble(Mendable, RuntimeError):
    """Something about Kafka that a person has to mend. The message says what, where and how."""


class Away(KafkaTrouble):
    """Nobody answers. At the first start the address may be wrong, later it is an outage."""


class Interrupted(RuntimeError):
    """The process cannot go on, but the same command continues where it stopped."""


def consumer(brokers: str, group: str, **more: Any) -> Consumer:
    """A consumer that is told its partitions and offsets, never jumps, and reads committed data only."""
    return _client(
        Consumer,
        brokers,
        {
            "group.id": group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "allow.auto.create.topics": False,
            "fetch.wait.max.ms": 5,
            "fetch.queue.backoff.ms": 5,
            "fetch.error.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            "socket.nagle.disable": True,
            **more,
        },
    )


def producer(brokers: str, **more: Any) -> Producer:
    return _client(
        Producer,
        brokers,
        {
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 0,
            "reconnect.backoff.max.ms": 1000,
            "socket.nagle.disable": True,
            **more,
        },
    )


def open_transactions(client: Producer, timeout: float) -> None:
    """`init_transactions` of a client that is connected: one that asks for its coordinator before, asks again
    half a second later (measured: .51 s, against .06 s that include the wait). Raises KafkaException."""
    with suppress(KafkaException):  # what is wrong, the next line says
        client.list_topics(timeout=SOON)
    client.init_transactions(timeout)


def admin(brokers: str) -> AdminClient:
    return _client(AdminClient, brokers, {})


def _client(kind: Callable[[dict[str, Any]], Client], brokers: str, settings: dict[str, Any]) -> Client:
    """Every client of oncue is made here. Raises KafkaTrouble when it cannot connect with its settings."""
    secure, wrong = security.settings()
    if not wrong:
        try:
            return kind({"bootstrap.servers": brokers, "log_level": 2, **secure, **settings})
        except KafkaException as error:
            wrong = [error.args[0].str()]
    raise KafkaTrouble(
        "the settings for connecting to Kafka are wrong: " + "; ".join(wrong) + ". See docs/security.md"
    )


def away(brokers: str, error: KafkaException) -> KafkaTrouble:
    """In words, with the first thing that goes wrong on the way there."""
    why = _heard(brokers) or error.args[0]
    if refused(why):
        return KafkaTrouble(
            f"Kafka at {brokers} refuses this client: {why.str()}. Check security.protocol, certificates, "
            "user and password (docs/security.md)"
        )
    return Away(
        f"no answer from Kafka at {brokers}: {why.str()}. "
        "Check --brokers, and that the broker runs and can be reached from here"
    )


def refused(error: KafkaError) -> bool:
    """Nobody is away: this client is not let in."""
    return error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL)


def _heard(brokers: str) -> KafkaError | None:
    """What a client says of its first attempt to connect; a client that works says nothing."""
    heard: list[KafkaError] = []
    client = producer(brokers, error_cb=heard.append)
    until = time.monotonic() + 2
    while not heard and time.monotonic() < until:
        client.poll(0.1)
    return heard[0] if heard else None


def tell_refusal(error: KafkaError) -> None:
    """An `error_cb` for a client that is there for long and would try again for ever without a word."""
    global _told
    if refused(error) and time.monotonic() > _told + REMIND:
        _told = time.monotonic()
        log.say(f"Kafka refuses this client, which goes on trying: {error.str()}", "WARN")


def not_allowed(error: KafkaError) -> bool:
    """An access control list forbids it."""
    return error.code() in (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    )


def partitions(client: Consumer | Producer, names: list[str], brokers: str) -> dict[str, int]:
    """How many partitions each topic has. Raises KafkaTrouble naming every topic that is missing."""
    found: dict[str, int] = {}
    missing: list[str] = []
    hidden: list[str] = []
    for name in names:
        try:
            about = client.list_topics(name, timeout=SOON).topics[name]
        except KafkaException as error:
            raise away(brokers, error) from None
        if about.error is not None:
            (hidden if not_allowed(about.error) else missing).append(name)
        else:
            found[name] = len(about.partitions)
    if hidden:
        raise KafkaTrouble(
            f"not allowed on {brokers}: {', '.join(hidden)}. Allow this client's user what docs/security.md "
            "lists"
        )
    if missing:
        raise KafkaTrouble(
            f"missing on {brokers}: {', '.join(missing)}. Make them with: oncue topics create "
            f"--config FILE --brokers {brokers}"
        )
    return found


def bounds(client: Consumer, place: Place) -> tuple[int, int]:
    """First and next offset of a partition. A broker that has just started, or a topic that was just
    made, may have no leader yet."""
    until = time.monotonic() + SOON
    while True:
        try:
            low, high = client.get_watermark_offsets(TopicPartition(*place), timeout=SOON)
            return low, high
        except KafkaException as error:
            new = error.args[0].code() == KafkaError._UNKNOWN_PARTITION  # or the broker is
            away = new or passing(error.args[0])
            if not away or time.monotonic() > until:
                kind = Away if away else KafkaTrouble
                raise kind(f"cannot read the bounds of {show(place)}: {error.args[0].str()}") from None
            time.sleep(0.1)


def extent(brokers: str, place: Place) -> tuple[int, int]:
    """`bounds`, asked by a client of its own."""
    client = consumer(brokers, "oncue-extent")
    try:
        return bounds(client, place)
    finally:
        client.close()


def end(brokers: str, place: Place) -> int:
    """The next offset of a partition, asked by a client of its own."""
    return extent(brokers, place)[1]


def ends(client: Consumer, places: Iterable[Place]) -> dict[Place, int]:
    """The end of each partition as `client` may read it; those the broker does not know just now are
    missing, all of them while it is away or has just come back, for which there is a dozen of errors. One
    question for all: `bounds` asks two for each (measured: 2.7 against 24 ms for six)."""
    try:
        found = client.offsets_for_times(
            [TopicPartition(*place, OFFSET_END) for place in places], timeout=SOON
        )
    except KafkaException as error:
        if refused(error.args[0]) or not_allowed(error.args[0]):
            raise KafkaTrouble(f"cannot read the ends of the output: {error.args[0].str()}") from None
        return {}
    return {(it.topic, it.partition): it.offset for it in found if it.error is None and it.offset >= 0}


def show(place: Place) -> str:
    """As places are written everywhere: topic/partition."""
    return f"{place[0]}/{place[1]}"


def take(client: Consumer, most: int, wait: float = 0.1) -> list[Record]:
    """Up to `most` records and partition events, waiting at most `wait` seconds for the first. (`consume`
    would wait until there are `most`.)"""
    if not wait:
        return list(client.consume(most, 0))
    first = client.poll(wait)
    return [] if first is None else [first, *client.consume(most - 1, 0)]


def outputs(names: dict[int, str], count: int) -> list[dict[int, Place]]:
    """For each of `count` sink partitions the output partitions it owns, by topic code. `names` by code."""
    return [
        {code: (name, index) for code, name in names.items() if index == 0 or not topics.OUTPUTS[code].single}
        for index in range(count)
    ]


def is_end(error: KafkaError) -> bool:
    """Not an error: everything up to the end of the partition has been read."""
    return bool(error.code() == KafkaError._PARTITION_EOF)


def gone(error: KafkaError) -> bool:
    """The offset asked for is not there (any more)."""
    return error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)


def passing(error: KafkaError) -> bool:
    """The client gets over it by itself."""
    return bool(
        error.retriable()
        or error.code()
        in (
            KafkaError._TRANSPORT,
            KafkaError._ALL_BROKERS_DOWN,
            KafkaError._RESOLVE,
            KafkaError._TIMED_OUT,
            KafkaError._WAIT_COORD,
            KafkaError._DESTROY_BROKER,
            KafkaError.UNKNOWN_TOPIC_OR_PART,
            KafkaError.NOT_LEADER_FOR_PARTITION,
            KafkaError.LEADER_NOT_AVAILABLE,
            KafkaError.FENCED_LEADER_EPOCH,
            KafkaError.UNKNOWN_LEADER_EPOCH,
            KafkaError.OFFSET_NOT_AVAILABLE,
        )
    )
