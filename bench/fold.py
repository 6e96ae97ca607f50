"""`python -m bench.fold`: what the customer step costs without Kafka, RocksDB and Bytewax, in CPU time.

Prints µs an event: reading (decode, validate, take values), the whole fold, of it adding to the features,
and encoding the records that changed, once per `--every` events of the shard. `--cold` forgets
decoded records after each write-back, as a cache much too small would.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

from bench import traffic
from flows import garbage
from flows.playbooks import retail
from operators import features, playbook, records
from operators.customers import Customers
from operators.events import Reader
from operators.operations import EVENT, Operation, Pack
from operators.parts import Measured
from operators.records import Record
from operators.timers import Timers

PLACES = ("shop.web/0", "shop.app/0", "shop.pos/0")


class Store(dict[str, Record]):
    """All customers in memory; knows which were changed."""

    def __init__(self) -> None:
        self.dirty: dict[str, Record] = {}

    def touch(self, record: Record, /) -> None:
        self[record.id] = self.dirty[record.id] = record

    def drop(self, id: str, /) -> None:
        del self[id]


def operations(count: int, people: int, step: float) -> Iterator[Operation]:
    for number, (source, key, raw) in enumerate(traffic.events(count, people, step=step)):
        at = int(traffic.START + number * step)
        yield EVENT, key.decode().partition("-")[2], at, PLACES[source], number, at, None, raw


def timed(what: Callable[[], Any]) -> float:
    gc.collect()
    began = process_time()
    what()
    return process_time() - began


def measure(text: str, count: int, people: int, every: int, cold: bool, step: float) -> dict[str, float]:
    book = playbook.load(text)
    ops = list(operations(count, people, step))
    reader = Reader(book)
    readings = []

    def read() -> None:
        for op in ops:
            reader.read(op[7], op[2], op[3])

    reading = timed(read)
    for op in ops:
        found = reader.read(op[7], op[2], op[3])
        if found[2] is not None:
            readings.append((op[1], found[1], found[2]))
    kept: dict[str, Measured] = {customer: Measured(forms=[], rows=[]) for customer, _, _ in readings}

    def add() -> None:
        plan = book.plan
        for customer, form, row in readings:
            features.add(kept[customer], plan, form, row)

    adding = timed(add)
    store = Store()
    shard = Customers(book, 0, store, Timers(lambda low, high: iter(())), {})
    packs = []
    before = -1
    for number, start in enumerate(range(0, count, every), 1):
        watermark = ops[min(start + every, count) - 1][2]
        packs.append(Pack(number, number, watermark, before, 0, 0, False, ops[start : start + every]))
        before = watermark
    folding = encoding = decoding = 0.0
    writes = size = 0
    gc.collect()
    garbage.look_rarely()  # as a worker does
    for pack in packs:
        began = process_time()
        shard.apply(pack)
        folded = process_time()
        written = {id: record.encode() for id, record in store.dirty.items()}
        encoded = process_time()
        if cold:
            for id, raw in written.items():
                dict.__setitem__(store, id, records.decode(id, raw))
            decoding += process_time() - encoded
        store.dirty.clear()
        folding += folded - began
        encoding += encoded - folded
        writes += len(written)
    sizes = [len(record.encode()) for record in store.values()]
    size = sum(sizes)
    million = 1_000_000 / count
    return {
        "read": reading * million,
        "add": adding * million,
        "fold": folding * million,
        "encode": encoding * million,
        "decode": decoding * million,
        "writes per event": writes / count,
        "bytes per customer": size / len(sizes),
        "features": len(book.features),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--people", type=int, default=2_000)
    parser.add_argument("--every", type=int, default=2_000)
    parser.add_argument("--step", type=float, default=20, help="ms of event time between two events")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--config", type=Path)
    asked = parser.parse_args()
    text = asked.config.read_text() if asked.config else retail()
    found = measure(text, asked.events, asked.people, asked.every, asked.cold, asked.step)
    for name, figure in found.items():
        print(f"{name:>20} {figure:10.2f}")


if __name__ == "__main__":
    main()
