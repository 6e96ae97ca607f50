"""What a replay would take: events, time, room on disk. From a sample, folded here and now."""

from __future__ import annotations

import time
from itertools import islice

import msgspec

from flows import intake
from flows.plan import Plan
from operators.customers import Customers
from operators.cuts import Batch
from operators.graph import Progress
from operators.identity import Identities
from operators.playbook import Playbook
from operators.records import Record
from operators.resolve import Resolver
from operators.timers import Timers

SAMPLE = 3000  # records, over all partitions
REST = (
    1.8  # the whole worker's time over that of the fold (Kafka, RocksDB, Bytewax; measured: docs/figures.md)
)
COPIES = 2.0  # a store and what its checkpoints do not share with it


class Estimate(msgspec.Struct):
    """`events` is the most there can be: transactions leave gaps. `sampled`: how many the rest is taken
    from. `seconds` with one worker on this machine as busy as it is now. Bytes are of the state directory
    and of the topics that would be written."""

    events: int
    sampled: int
    seconds: int
    input_bytes: int
    state_bytes: int
    output_bytes: int


class _Store(dict[str, Record]):
    def stored(self, id: str, /) -> Record | None:
        return None

    def touch(self, record: Record, /) -> None:
        self[record.id] = record

    def drop(self, id: str, /) -> None:
        self.pop(id, None)


def estimate(book: Playbook, brokers: str, plan: Plan) -> Estimate:
    """Reads the beginning of each partition. What customers come to know of each other grows more slowly
    than a sample shows, so the state is rather less."""
    parts = [part for part in plan.parts if part.end > part.start]
    each = max(1, SAMPLE // max(1, len(parts)))
    arrivals = []
    size = 0
    for index, (part, records) in enumerate(intake.records(brokers, plan, "sampling")):
        for arrival in islice(intake.arrivals(book, part, records), each):
            arrivals.append((arrival[0], index, *arrival[2:]))
            size += len(arrival[6]) if isinstance(arrival[6], bytes) else 0
    arrivals.sort(key=lambda it: it[:3])
    names = [f"{part.topic}/{part.partition}" for part in plan.parts]
    customers, written = _Store(), 0
    resolver = Resolver(
        Identities(book.scope, book.policies, {}, {}, {}, {}), 1, Progress(open_moves=[], received={})
    )
    fold = Customers(book, 0, customers, Timers(lambda low, high: ()), {})
    began = time.process_time()
    for number, start in enumerate(range(0, len(arrivals), 200), 1):
        some = arrivals[start : start + 200]
        for pack in resolver.apply(Batch(number, some[-1][0], some[0][0], False, 0, names, some)):
            written += sum(len(effect.body) + 300 for effect in fold.apply(pack))
    seconds = time.process_time() - began
    scale = plan.events / max(1, len(arrivals))
    kept = sum(len(record.encode()) for record in customers.values())
    return Estimate(
        plan.events,
        len(arrivals),
        round(seconds * scale * REST),
        round(size * scale),
        round(kept * scale * COPIES),
        round(written * scale) if plan.output != "none" else 0,
    )
