"""The input of a replay read plainly, partition by partition, outside of a dataflow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from confluent_kafka import TopicPartition

from flows import archive, kafka
from flows.kafka import KafkaTrouble
from flows.plan import Part, Plan
from flows.progress import Progress
from operators import headers, reference
from operators.cuts import Arrival
from operators.identifiers import Identifiers
from operators.order import BAD, EVENT, REFERENCE
from operators.playbook import Playbook


def records(brokers: str, plan: Plan, what: str) -> Iterator[tuple[Part, Iterator[kafka.Record]]]:
    """Each part of the input with its records; `what` is shown as progress. One part is to be read to its
    end before the next."""
    with Progress(what, plan.events) as progress:
        for part in plan.parts:
            yield part, _of(brokers, part, progress)


def arrivals(book: Playbook, part: Part, found: Iterable[kafka.Record]) -> Iterator[Arrival]:
    """What the sequencer makes of the records of one part; its index is 0."""
    identifiers = Identifiers(book.policies, book.region)
    kinds = {topic: kind for kind, topic in book.reference.items()}
    kind = kinds.get(part.topic)
    newest = -1
    for record in found:
        offset, raw, arrived = record.offset(), record.value() or b"", record.timestamp()[1]
        try:
            if kind is None:
                at, keys = headers.read(raw, arrived, identifiers)
                yield at, 0, offset, EVENT, arrived, keys, raw
            else:
                told = reference.read(kind, record.value(), record.key(), arrived)
                at = told.came
                yield at, 0, offset, REFERENCE, arrived, told, b""
            newest = max(newest, at)
        except headers.BadHeader as bad:
            yield newest, 0, offset, BAD, arrived, (bad.reason, bad.detail), raw


def _of(brokers: str, part: Part, progress: Progress) -> Iterator[kafka.Record]:
    if part.start >= part.end:
        return
    if part.files:
        for record in archive.records(part, part.start, reference=False):
            progress.advance()
            yield record
        return
    client = kafka.consumer(brokers, "oncue-intake")
    try:
        client.assign([TopicPartition(part.topic, part.partition, part.start)])
        while True:
            for record in kafka.take(client, 2000, 0.1):
                error = record.error()
                if error is None:
                    if record.offset() >= part.end:
                        return
                    progress.advance()
                    yield record
                    if record.offset() + 1 == part.end:
                        return
                elif kafka.is_end(error):
                    return
                elif not kafka.passing(error):
                    raise KafkaTrouble(f"cannot read {part.topic}/{part.partition}: {error.str()}")
    finally:
        client.close()
