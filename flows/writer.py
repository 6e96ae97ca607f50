"""A transactional writer in a thread of its own: the dataflow never waits for a commit of the broker.

What arrives while one transaction commits goes out together in the next. So a quiet flow pays one
round trip, a busy one few transactions.

A broker acknowledges a commit before its markers are written. If it dies in between, Kafka 4.3 was seen
to leave the transaction hanging: records acknowledged, but never visible to read_committed consumers and
holding back all that follows (3 of 4 runs with kill -9 right after a commit). So `flush` waits until its
records can be read; when they cannot, the run is interrupted and starts again, and a start aborts what
hangs. Those records are sent again, they were not flushed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException

from flows import kafka
from flows.cloudevents import Headers
from flows.kafka import Interrupted, KafkaTrouble, Place
from flows.telemetry.figures import Histogram
from schemas.topics import LARGEST

FENCED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
VISIBLE = 20.0  # seconds until committed records must be readable; the broker is there all that time
TRANSACTION_MS = 120_000  # how long the broker may be away in the middle of a transaction


class Fenced(RuntimeError):
    """The broker takes no more from this writer: another of the same transactional id was opened, or the
    broker itself gave up a transaction that took too long."""


class Outgoing(NamedTuple):
    topic: str
    partition: int
    key: str
    value: bytes | None
    headers: Headers


class Writer:
    """`send` hands over, `flush` returns when all of it is committed, with the end offset per topic.

    Constructing one fences every older writer with the same transactional id and aborts what it left
    open. Any failure is raised by the next `send` or `flush`: KafkaTrouble, Fenced, else Interrupted.
    """

    def __init__(self, brokers: str, transactional_id: str, places: list[Place]) -> None:
        self._brokers = brokers
        self._places = dict(places)
        self._id = transactional_id
        self._producer = kafka.producer(
            brokers,
            **{
                "transactional.id": transactional_id,
                "transaction.timeout.ms": TRANSACTION_MS,
                "linger.ms": 1,
                "compression.type": "lz4",
                "message.max.bytes": LARGEST,
            },
        )
        try:
            kafka.open_transactions(self._producer, 60)
        except KafkaException as error:
            kind = Interrupted if kafka.passing(error.args[0]) else KafkaTrouble
            raise kind(
                f"cannot open the transactional producer {transactional_id} on {brokers}: "
                f"{error.args[0].str()}"
            ) from None
        self._reader = kafka.consumer(brokers, "oncue-writer")
        self._abort_hanging()
        self._visible: dict[str, int] = {}
        self.durations = Histogram()  # of transactions
        self._changed = threading.Condition()
        self._waiting: list[Outgoing] = []
        self._ends: dict[str, int] = {}
        self._busy = self._closing = False
        self._failure: BaseException | None = None
        self._rejected: tuple[KafkaError, kafka.Record] | None = None
        self._thread = threading.Thread(target=self._run, name=transactional_id, daemon=True)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def start(self) -> None:
        self._thread.start()

    def send(self, outgoing: list[Outgoing]) -> None:
        with self._changed:
            self._check()
            if outgoing:
                self._waiting += outgoing
                self._changed.notify_all()

    def flush(self) -> dict[str, int]:
        with self._changed:
            while (self._waiting or self._busy) and self._failure is None:
                self._changed.wait()
            self._check()
            ends = dict(self._ends)
        self._wait_until_visible(ends)
        return ends

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._reader.close()

    def _wait_until_visible(self, ends: dict[str, int]) -> None:
        """Return when read_committed consumers see everything before `ends`."""
        late = {
            (topic, self._places[topic]): end
            for topic, end in ends.items()
            if end > self._visible.get(topic, 0)
        }
        until, pause = time.monotonic() + VISIBLE, 0.0
        while late:
            time.sleep(pause)
            pause = min(0.05, pause + 0.002)
            answers = kafka.ends(self._reader, late)
            if not answers:
                until = time.monotonic() + VISIBLE  # the broker is away
            for place, seen in answers.items():
                if seen >= late[place]:
                    self._visible[place[0]] = late.pop(place)
            if late and time.monotonic() > until:
                raise Interrupted(
                    f"{kafka.show(min(late))}: records cannot be read {VISIBLE:.0f} s after their commit, as "
                    "after the death of a broker. A new start aborts them and sends them again"
                )

    def _abort_hanging(self) -> None:
        """Records of an older writer that are neither committed nor aborted: abort them with ours."""
        uncommitted = kafka.consumer(self._brokers, "oncue-writer", **{"isolation.level": "read_uncommitted"})
        try:
            hanging = self._held_back(uncommitted)
            if not hanging:
                return
            self._producer.begin_transaction()
            for topic, partition in hanging:
                self._producer.produce(topic, b"", partition=partition)
            self._producer.flush(30)
            self._producer.abort_transaction(30)
            until = time.monotonic() + VISIBLE
            while hanging := self._held_back(uncommitted):
                if time.monotonic() > until:
                    raise KafkaTrouble(
                        f"{kafka.show(hanging[0])}: a transaction that oncue did not open keeps consumers "
                        "from all that follows it. Find and abort it (kafka-transactions.sh find-hanging), "
                        "see that nothing else writes to this topic, then start again"
                    )
                time.sleep(0.05)
        finally:
            uncommitted.close()

    def _held_back(self, uncommitted: Consumer) -> list[Place]:
        """The partitions with records that neither are committed nor aborted."""
        return [
            place
            for place in self._places.items()
            if kafka.bounds(uncommitted, place)[1] > kafka.bounds(self._reader, place)[1]
        ]

    def _check(self) -> None:
        failure = self._failure
        if failure is None:
            return
        if isinstance(failure, KafkaTrouble):
            raise failure
        codes = {failure.args[0].code()} if isinstance(failure, KafkaException) else set()
        if self._rejected is not None:
            codes.add(self._rejected[0].code())
        if codes & FENCED or "_FENCED" in repr(failure.args):
            raise Fenced(self._id)
        if self._rejected is not None and kafka.not_allowed(self._rejected[0]):
            topic = self._rejected[1].topic()
            raise KafkaTrouble(
                f"{self._id} may not write to {topic}: allow its user what docs/security.md lists"
            )
        why = failure.args[0].str() if isinstance(failure, KafkaException) else failure
        raise Interrupted(
            f"the output of {self._id} failed: {why}. What was not committed is sent again after a new start"
        ) from failure

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                while not self._waiting and not self._closing:
                    self._changed.wait()
                if self._closing and not self._waiting:
                    return
                batch, self._waiting = self._waiting, []
                self._busy = True
            began = time.perf_counter()
            try:
                self._commit(batch)
                self.durations.add(time.perf_counter() - began)
            except BaseException as error:
                with self._changed:
                    self._failure = error
                    self._busy = False
                    self._changed.notify_all()
                return

    def _commit(self, batch: list[Outgoing]) -> None:
        """One transaction. A failed one is not aborted and tried again here: a writer that was paused and
        woken must end, and a start with its fencing and reading back settles every case alike."""
        producer = self._producer
        self._rejected = None
        producer.begin_transaction()
        try:
            for topic, partition, key, value, headers in batch:
                while True:
                    try:
                        producer.produce(
                            topic, value, key.encode(), partition=partition, headers=headers,
                            on_delivery=self._delivered,
                        )  # fmt: skip
                        break
                    except BufferError:
                        producer.poll(0.1)
                    except KafkaException as error:
                        if error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                            raise _too_large(topic, len(value or b"")) from None
                        raise
            _insist(producer.commit_transaction)
        except KafkaException:
            if self._rejected is not None and self._rejected[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                rejected = self._rejected[1]
                raise _too_large(rejected.topic(), len(rejected.value() or b"")) from None
            raise

    def _delivered(self, error: KafkaError | None, message: kafka.Record) -> None:
        if error is not None:
            self._rejected = error, message  # looked at later: a fenced client's callback must not
            return
        topic, end = message.topic(), message.offset() + 1
        if end > self._ends.get(topic, 0):
            self._ends[topic] = end


def _insist(call: Callable[[float], None]) -> None:
    """However long the broker is away."""
    while True:
        try:
            return call(30)
        except KafkaException as error:
            if not error.args[0].retriable():
                raise


def _too_large(topic: str, size: int) -> KafkaTrouble:
    return KafkaTrouble(
        f"{topic} does not take a record of {size:,} bytes: its max.message.bytes is less. Raise it, to "
        f"{LARGEST} at most, then start again with the same command"
    )
