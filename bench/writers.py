"""What exactly-once output costs by itself: processor time a record, and from its hand-over to when a
read_committed consumer has it. `python -m bench.writers` writes bench/results/writers.json.

Batches of 10 records of a kilobyte, as a cut brings them to a sink partition; a flush, as of an epoch, at
every 200th. Rounds are interleaved.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from confluent_kafka import TopicPartition

from bench import results
from bench.plain import PlainWriter
from deploy.kafka.broker import KafkaBroker
from flows import kafka, topics
from flows.writer import Outgoing, Writer

RECORDS = 10
BODY = b"x" * 1000
HEADERS = [("ce_id", b"0123456789abcdef"), ("ce_type", b"oncue.trigger.example")]
FLUSH_EVERY = 200
WAITED_FOR = 300  # batches that are waited for, one by one


def measure(kind: type[Writer] | type[PlainWriter], brokers: str, topic: str, batches: int) -> dict[str, Any]:
    writer = kind(brokers, f"bench-{topic}", [(topic, 0)])
    writer.start()
    began = time.process_time()
    for number in range(batches):
        writer.send(_batch(topic))
        if number % FLUSH_EVERY == FLUSH_EVERY - 1:
            writer.flush()
    writer.flush()
    used = time.process_time() - began
    reader = kafka.consumer(brokers, "bench", **{"fetch.wait.max.ms": 100})
    reader.assign([TopicPartition(topic, 0, kafka.bounds(reader, (topic, 0))[1])])
    reader.consume(1, 1)
    waits = []
    for _ in range(WAITED_FOR):
        sent, got = time.perf_counter(), 0
        writer.send(_batch(topic))
        while got < RECORDS:
            got += sum(it.error() is None for it in reader.consume(RECORDS - got, 0.005))
        waits.append(1000 * (time.perf_counter() - sent))
    reader.close()
    writer.close()
    waits.sort()
    return {
        "writer": kind.__name__,
        "cpu_us_per_record": round(used * 1e6 / (batches * RECORDS), 1),
        "p50_ms": round(waits[len(waits) // 2], 1),
        "p99_ms": round(waits[len(waits) * 99 // 100], 1),
    }


def _batch(topic: str) -> list[Outgoing]:
    return [Outgoing(topic, 0, "c-example", BODY, HEADERS) for _ in range(RECORDS)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    found = []
    with KafkaBroker() as broker:
        for turn in range(asked.rounds):
            for kind in (PlainWriter, Writer):
                topic = f"out-{turn}-{kind.__name__}"
                topics.make([topics.NewTopic(topic, 1)], broker.bootstrap)
                found.append(measure(kind, broker.bootstrap, topic, asked.batches))
    results.keep("writers", {"runs": found})


if __name__ == "__main__":
    main()
