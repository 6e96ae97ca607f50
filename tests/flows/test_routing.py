"""Where Bytewax really sends a key, against what we compute."""

import threading
from collections import Counter

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.inputs import (
    DynamicSource,
    FixedPartitionedSource,
    StatefulSourcePartition,
    StatelessSourcePartition,
)
from bytewax.operators import StatefulBatchLogic
from bytewax.testing import TestingSink, cluster_main

from flows.routing import BESIDE_SOURCE, siphash13, spread, worker_of

KEYS = [
    *spread("shard", 8),
    *spread("shard", 6),
    "shop",
    "",
    "ü-schlüssel",
    *(f"k{n}" * (n % 7) for n in range(60)),
]


class Indexes(DynamicSource[str]):
    """Tells which thread is which worker; worker 0 brings the keys."""

    def __init__(self, threads: dict[int, int]) -> None:
        self._threads = threads

    def build(self, step_id: str, worker_index: int, worker_count: int) -> StatelessSourcePartition[str]:
        self._threads[threading.get_ident()] = worker_index
        return Once(KEYS if worker_index == 0 else [])


class Once(StatelessSourcePartition[str]):
    def __init__(self, items: list[str]) -> None:
        self._batches = [items]

    def next_batch(self) -> list[str]:
        if not self._batches:
            raise StopIteration
        return self._batches.pop()


class Where(StatefulBatchLogic[str, int, None]):
    def on_batch(self, values: list[str]) -> tuple[list[int], bool]:
        return [threading.get_ident()], False

    def snapshot(self) -> None:
        return None


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_bytewax_sends_every_key_to_the_worker_we_computed(workers: int) -> None:
    threads: dict[int, int] = {}
    out: list[tuple[str, int]] = []
    flow = Dataflow("routing")
    keyed = op.key_on("key", op.input("in", flow, Indexes(threads)), lambda key: key)
    op.output("out", op.stateful_batch("where", keyed, lambda _: Where()), TestingSink(out))
    cluster_main(flow, [], 0, worker_count_per_proc=workers)
    assert sorted(threads.values()) == list(range(workers))
    went = {key: threads[ident] for key, ident in out}
    assert went == {key: worker_of(key, workers) for key in KEYS}


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_resolve_is_given_its_place_beside_the_only_source_partition(workers: int) -> None:
    out: list[tuple[int, int]] = []
    flow = Dataflow("beside")
    cuts = op.input("sequence", flow, Lone())
    op.output("out", op.stateful_batch("resolve", cuts, lambda _: Beside()), TestingSink(out))
    cluster_main(flow, [], 0, worker_count_per_proc=workers)
    ((_, (source, resolve)),) = out
    assert source == resolve
    assert all(worker_of(BESIDE_SOURCE, count) == 0 for count in range(1, 17))


class Lone(FixedPartitionedSource[tuple[str, int], None]):
    """One partition, as a scope has; it says which thread it runs on."""

    def list_parts(self) -> list[str]:
        return ["shop"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "LonePartition":
        return LonePartition()


class LonePartition(StatefulSourcePartition[tuple[str, int], None]):
    def __init__(self) -> None:
        self._left = 1

    def next_batch(self) -> list[tuple[str, int]]:
        if not self._left:
            raise StopIteration
        self._left = 0
        return [(BESIDE_SOURCE, threading.get_ident())]

    def snapshot(self) -> None:
        return None


class Beside(StatefulBatchLogic[int, tuple[int, int], None]):
    def on_batch(self, values: list[int]) -> tuple[list[tuple[int, int]], bool]:
        return [(source, threading.get_ident()) for source in values], False

    def snapshot(self) -> None:
        return None


@pytest.mark.parametrize("shards", [1, 2, 4, 6])
def test_shards_spread_evenly_over_every_number_of_workers_that_divides_them(shards: int) -> None:
    for workers in (n for n in range(1, shards + 1) if shards % n == 0):
        assert _on_each(shards, workers) == [shards // workers] * workers


def test_the_worker_that_has_the_source_gets_fewer_of_eight_shards_or_more() -> None:
    assert [_on_each(8, workers) for workers in (1, 2, 3, 4)] == [[8], [3, 5], [2, 3, 3], [1, 3, 2, 2]]
    assert _on_each(8, 8) == [0, 2, 1, 1, 1, 1, 1, 1]
    assert [_on_each(16, workers) for workers in (2, 3)] == [[6, 10], [4, 6, 6]]
    assert _on_each(4, 3) == [1, 2, 1]


def _on_each(shards: int, workers: int) -> list[int]:
    """How many shards each worker has."""
    names = spread("shard", shards)
    assert len(set(names)) == shards
    counts = Counter(worker_of(name, workers) for name in names)
    return [counts[worker] for worker in range(workers)]


def test_siphash_is_the_published_one_with_one_and_three_rounds() -> None:
    # Rust's std: `SipHasher13::new()` over these bytes, and over none.
    assert siphash13(b"") == 0xD1FBA762150C532C
    assert worker_of("shard-00.0", 1) == 0
