"""A transactional writer in a thread of its own: the dataflow never waits for a commit of the broker.

What arrives while one transaction commits goes out together in the next. So a quiet flow pays one
round trip, a busy one few transactions.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException

from flows import kafka
from flows.cloudevents import Headers
from flows.kafka import KafkaTrouble

TRANSACTION_MS = 120_000  # how long the broker may be away in the middle of a transaction


class Outgoing(NamedTuple):
    topic: str
    partition: int
    key: str
    value: bytes
    headers: Headers


class Writer:
    """`send` hands over, `flush` returns when all of it is committed, with the end offset per topic.

    Constructing one fences every older writer with the same transactional id and aborts what it left
    open. Any failure is raised by the next `send` or `flush` as KafkaTrouble.
    """

    def __init__(self, brokers: str, transactional_id: str) -> None:
        self._id = transactional_id
        self._producer = kafka.producer(
            brokers,
            **{
                "transactional.id": transactional_id,
                "transaction.timeout.ms": TRANSACTION_MS,
                "linger.ms": 1,
                "compression.type": "lz4",
            },
        )
        try:
            self._producer.init_transactions(60)
        except KafkaException as error:
            raise KafkaTrouble(
                f"cannot open the transactional producer {transactional_id} on {brokers}: "
                f"{error.args[0].str()}"
            ) from None
        self._changed = threading.Condition()
        self._waiting: list[Outgoing] = []
        self._ends: dict[str, int] = {}
        self._busy = self._closing = False
        self._failure: BaseException | None = None
        self._rejected: KafkaError | None = None
        self._thread = threading.Thread(target=self._run, name=transactional_id, daemon=True)

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
            return dict(self._ends)

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _check(self) -> None:
        if self._failure is not None:
            raise KafkaTrouble(f"the output of {self._id} failed: {self._failure}") from self._failure

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
            try:
                while not self._commit(batch):
                    pass
            except BaseException as error:
                with self._changed:
                    self._failure = error
                    self._busy = False
                    self._changed.notify_all()
                return

    def _commit(self, batch: list[Outgoing]) -> bool:
        """One transaction; False when it was aborted and has to be tried again."""
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
            while True:
                try:
                    producer.commit_transaction(30)
                    return True
                except KafkaException as error:
                    if not error.args[0].retriable():
                        raise
        except KafkaException as error:
            trouble = error.args[0]
            if trouble.fatal() or not trouble.txn_requires_abort():
                raise
            if self._rejected is not None and self._rejected.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                raise
            producer.abort_transaction(30)
            return False

    def _delivered(self, error: KafkaError | None, message: kafka.Record) -> None:
        if error is not None:
            self._rejected = error
            return
        topic, end = message.topic(), message.offset() + 1
        if end > self._ends.get(topic, 0):
            self._ends[topic] = end
