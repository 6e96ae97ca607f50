"""`oncue` with output as it would be without exactly-once, to see what that costs: no transactions, nothing
read back, a record counts as sent when the broker has it.

    python -m bench.plain run --config ...
"""

from __future__ import annotations

from typing import Any

from flows import cli, kafka, sink
from flows.kafka import Place
from flows.telemetry.figures import Histogram
from flows.writer import Outgoing
from schemas.topics import LARGEST

PATIENCE = 60.0  # seconds


class PlainWriter:
    """What `flows.writer.Writer` is to the sink."""

    def __init__(self, brokers: str, transactional_id: str, places: list[Place]) -> None:
        settings = {"linger.ms": 1, "compression.type": "lz4", "message.max.bytes": LARGEST}
        self._producer = kafka.producer(brokers, **settings, **{"enable.idempotence": False})
        self._ends: dict[str, int] = {}
        self.durations = Histogram()
        self.waiting = 0

    def start(self) -> None: ...

    def send(self, outgoing: list[Outgoing]) -> None:
        for topic, partition, key, value, headers in outgoing:
            self._producer.produce(
                topic, value, key.encode(), partition=partition, headers=headers, on_delivery=self._delivered
            )
        self._producer.poll(0)

    def flush(self) -> dict[str, int]:
        assert self._producer.flush(PATIENCE) == 0
        return dict(self._ends)

    def close(self) -> None:
        self.flush()

    def _delivered(self, error: Any, message: kafka.Record) -> None:
        assert error is None, error
        self._ends[message.topic()] = message.offset() + 1


def main() -> None:
    # mypy is right: they are not the same, which is what is measured
    sink.Writer = PlainWriter  # type: ignore[assignment,misc]
    sink._read_back = lambda brokers, places, low, source: ({}, {topic: 0 for topic, _ in places.values()})
    cli.main()


if __name__ == "__main__":
    main()
