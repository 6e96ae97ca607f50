"""`python -m bench.history`: what it costs to keep history, in CPU time and bytes an event.

The events of `bench/traffic.py`, already resolved, are shared out to the shards of leaves and appended in
cuts of `--every`; then everything is compacted, as it is in time by itself, and customers are read back. At
last all of it is folded, as if it had become too old, with the measures of the retail playbook.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path
from time import perf_counter, process_time

from bench.fold import operations
from flows.playbooks import retail
from operators import playbook
from operators.folding import Folding, Sweep
from operators.history import appended, by_leaf, events, shard_of
from operators.operations import Operation, Pack
from state.store import Store

SHARDS = 8


def measure(count: int, people: int, every: int, folder: Path) -> dict[str, float]:
    ops: list[Operation] = [
        (*op[:6], f"anonymous_id:cookie-{op[1]}", op[7]) for op in operations(count, people, 20)
    ]
    stores = [Store(folder / str(shard), 1, None, compressed=True) for shard in range(SHARDS)]
    sharing = appending = 0.0
    began = perf_counter()
    for number, start in enumerate(range(0, count, every), 1):
        cut = ops[start : start + every]
        at = cut[-1][2]
        packs = [
            Pack(shard, number, at, at - 1000, 0, 0, False, cut[shard::SHARDS]) for shard in range(SHARDS)
        ]
        first = process_time()
        mine = by_leaf(packs)
        shared = process_time()
        for store, pack in zip(stores, mine, strict=True):
            store.write(appended(pack))
        sharing += shared - first
        appending += process_time() - shared
    for store in stores:
        store.flush()
    took = perf_counter() - began
    for store in stores:
        store.compact()
    checked = process_time()
    for store in stores:
        store.checkpoint(number, 0)
    pause = process_time() - checked
    size = sum(file.stat().st_size for file in folder.glob("*/live/*.sst"))
    leaves = len({op[6] for op in ops})
    dice, found = random.Random(1), 0
    wanted = [f"anonymous_id:cookie-{dice.randrange(people)}-0" for _ in range(1000)]
    reading = process_time()
    for leaf in wanted:
        found += sum(1 for _ in events(stores[shard_of(leaf, SHARDS)], leaf))
    read = process_time() - reading
    book = playbook.load(retail())._replace(keep=1)
    beginning = process_time()
    foldings = [Folding(book, Sweep(), {}) for _ in stores]
    for store, folding in zip(stores, foldings, strict=True):
        while folding.step(store, store.write, at + 1000, every) and not folding.progress.over:
            pass
    folded = process_time() - beginning
    for store in stores:
        store.compact()
    left = sum(file.stat().st_size for file in folder.glob("*/live/*.sst"))
    return {
        "share, us an event": sharing * 1e6 / count,
        "append, us an event": appending * 1e6 / count,
        "events/s, alone": count / took,
        "raw bytes an event": sum(len(op[7]) for op in ops) / count,
        "bytes an event": size / count,
        "checkpoint, ms a shard": pause * 1e3 / SHARDS,
        "read, us a leaf": read * 1e6 / len(wanted),
        "read, us an event": read * 1e6 / max(1, found),
        "fold, us an event": folded * 1e6 / count,
        "events a leaf": count / leaves,
        "bytes a leaf, folded": left / leaves,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--every", type=int, default=1_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, figure in measure(asked.events, asked.people, asked.every, Path(folder)).items():
            print(f"{name:>25} {figure:12.2f}")


if __name__ == "__main__":
    main()
