"""The steps that decide, between Bytewax and the pure core: they open state and keep it."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from typing import Any

import msgspec
from bytewax.operators import StatefulBatchLogic

from flows.hot import Hot, Versions
from flows.kept import META, MODELS, SHOWN
from flows.settings import Run
from flows.telemetry import views
from flows.telemetry.figures import Point
from flows.telemetry.follow import followed, told
from flows.writeback import WriteBack
from operators import records
from operators.counts import Counts
from operators.customers import Customers
from operators.cuts import Batch
from operators.effects import Effect
from operators.graph import Cluster, Evidence, Progress
from operators.identity import Identities
from operators.operations import Pack
from operators.records import Record
from operators.reference import Known
from operators.resolve import Resolver
from operators.served import stored_models
from operators.timers import Alarm, Timers
from state.cache import Cache
from state.errors import StateError, unusable
from state.store import Store

MOST_ALARMS = 50  # changes of alarms, which are written together
USUAL_CUSTOMER = 2_500  # bytes; decoded, with what was touched of them lately, they take some five times that
MOST_REMEMBERED = 20_000  # operations that operators/journal.py keeps until all is written

_pack = msgspec.msgpack.Encoder().encode
_unpack_progress = msgspec.msgpack.Decoder(Progress).decode
_unpack_about = msgspec.msgpack.Decoder(tuple[Counts, int]).decode
_unpack_cluster = msgspec.msgpack.Decoder(Cluster).decode
_unpack_shown = msgspec.msgpack.Decoder(dict[int, int]).decode
_unpack_known = msgspec.msgpack.Decoder(Known).decode
_unpack_evidence = msgspec.msgpack.Decoder(Evidence).decode


class Graph:
    """The identity graph of a scope in its store."""

    def __init__(self, store: Store, run: Run) -> None:
        size = run.playbook.engine.hot_identifiers
        self.owners: Cache[str] = Cache(store, b"o", str.encode, lambda _, raw: raw.decode(), size)
        self.clusters: Cache[Cluster] = Cache(
            store, b"c", _pack, lambda _, raw: _unpack_cluster(raw), size // 4
        )
        self.retired: Cache[str] = Cache(store, b"r", str.encode, lambda _, raw: raw.decode(), size // 8)
        self.evidence: Cache[Evidence] = Cache(
            store, b"e", _pack, lambda _, raw: _unpack_evidence(raw), size // 8
        )
        playbook = run.playbook
        self.identities = Identities(
            playbook.scope, playbook.policies, self.owners, self.clusters, self.retired, self.evidence
        )

    @property
    def caches(self) -> tuple[Cache[Any], ...]:
        return self.owners, self.clusters, self.retired, self.evidence


class Step:
    """What stateful steps share: a store that opens on the first cut, cuts without gaps, checkpoints."""

    def __init__(self, run: Run, token: int | None) -> None:
        self._run = run
        self._token = token
        self._cut: int | None = None
        self._changed = False
        self._writing = WriteBack(run.clock, time.monotonic())
        self._came = 0  # events or operations

    def _follow(self, name: str, cut: int, run_number: int) -> None:
        if self._cut is None:
            self._open(self._make(name, cut))
            self._run.watching.health.opened.add(name)
            self._run.watching.figures.watch(self._points)
        elif cut != self._cut + 1:
            raise StateError(f"{name} got cut {cut} after {self._cut}; this is a defect, please report it")
        self._cut = cut
        self._run.incarnation = run_number

    def _make(self, name: str, cut: int) -> Store:
        return Store(self._run.directory.step(name), cut, self._token)

    def _open(self, store: Store) -> None:
        raise NotImplementedError

    def _points(self) -> Iterator[Point]:
        raise NotImplementedError

    def _save(self, store: Store) -> int | None:
        """Checkpoint if anything changed; the cut that the newest checkpoint stands for."""
        self._writing.snapshot(time.monotonic())
        if self._cut is not None and (self._changed or self._token is None):
            store.checkpoint(self._cut, self._run.incarnation)
            self._token = self._cut
            self._changed = False
        return self._token


class Resolve(Step, StatefulBatchLogic[Batch, list[Pack], int | None]):
    """One for the scope, beside its source: gives events to customers."""

    def _open(self, store: Store) -> None:
        self._store = store
        self._graph = Graph(store, self._run)
        raw = store.get(META)
        progress = _unpack_progress(raw) if raw else Progress(open_moves=[], received={})
        self._resolver = Resolver(
            self._graph.identities, self._run.playbook.engine.shards, progress, (StateError,),
            self._run.playbook.generations,
        )  # fmt: skip

    def _points(self) -> Iterator[Point]:
        graph = self._graph
        for name, cache in (
            ("identifiers", graph.owners),
            ("clusters", graph.clusters),
            ("evidence", graph.evidence),
        ):
            yield from views.cache(name, cache)
        yield "oncue.cache.requests", ("identifiers",), self._came
        yield "oncue.queue.size", ("moves",), len(self._resolver.progress.open_moves)
        yield from views.stored("resolve", self._store.folder)

    def on_batch(self, values: list[Batch]) -> tuple[list[list[Pack]], bool]:
        began = self._run.timings.begin("resolve")
        out, came = [], 0
        for batch in values:
            self._follow("resolve", batch.number, batch.run)
            clock = time.time_ns()
            packs = self._resolver.apply(batch)
            if batch.traces and self._run.watching.traces is not None:
                followed(self._run.watching.traces, packs, batch.traces, clock)
            out.append(packs)
            came += len(batch.events)
            if batch.events or batch.last:
                self._changed = True
        self._came += came
        self._writing.batch(came, time.monotonic())
        for cache in self._graph.caches:
            cache.settle()
            cache.write_back(self._writing.due(cache.unwritten))
        self._run.timings.add("resolve", began)
        return out, False

    def snapshot(self) -> int | None:
        if self._cut is None:
            return self._token
        began = self._run.timings.begin("resolve snapshot")
        if self._changed:
            for cache in self._graph.caches:
                cache.write_back()
            self._store.write([(META, _pack(self._resolver.progress))])
        token = self._save(self._store)
        self._run.timings.pause("resolve", began)
        return token


class Customer(Step, StatefulBatchLogic[Pack, tuple[int, list[Effect]], tuple[int, int | None] | None]):
    """Keyed by shard: features, timers, triggers."""

    def __init__(self, run: Run, token: tuple[int, int | None] | None) -> None:
        super().__init__(run, token[1] if token else None)
        self._shard = token[0] if token else -1
        self._watermark = -1
        self._remembered = 0  # operations since all records were written

    def _open(self, store: Store) -> None:
        self._store = store
        engine = self._run.playbook.engine
        hot = engine.hot_customers // engine.shards
        self._hot = Hot(store, b"c", Record.encode, _record, hot, USUAL_CUSTOMER)
        self._versions = Versions(
            store, b"v", _pack, lambda _, raw: _unpack_known(raw), engine.hot_reference // engine.shards
        )
        self._timers = Timers(self._scan)
        raw = store.get(META)
        counts: Counts = _unpack_about(raw)[0] if raw else {}
        shown = store.get(SHOWN)
        self._customers = Customers(
            self._run.playbook, self._shard, self._hot, self._timers, self._versions, counts, (StateError,),
            stored_models(store.get(MODELS)), _unpack_shown(shown) if shown else {},
            self._run.outputs,
        )  # fmt: skip
        self._models = self._customers.models  # as they are in the store
        self._view = views.ShardView(counts, self._run.sources)

    def _points(self) -> Iterator[Point]:
        yield from self._view.points()
        yield from views.cache("customers", self._hot)
        yield from views.cache("reference", self._versions)
        yield "oncue.cache.requests", ("customers",), self._came
        yield from views.stored("customer", self._store.folder)

    def on_batch(self, values: list[Pack]) -> tuple[list[tuple[int, list[Effect]]], bool]:
        began = self._run.timings.begin("customer")
        traces = self._run.watching.traces
        out, came = [], 0
        for pack in values:
            self._shard = pack.shard
            self._follow(f"shard-{pack.shard:02d}", pack.number, pack.run)
            self._watermark = pack.watermark
            clock = time.time_ns()
            effects = self._customers.apply(pack)
            if traces is not None and (pack.traces or traces.any):
                effects = told(traces, pack, effects, clock)
            if effects:
                out.append((pack.number, effects))
            if pack.operations or effects:
                self._changed = True
            came += len(pack.operations)
        self._came += came
        self._view.counted = self._customers.counts
        self._settle(came)
        self._run.timings.add("customer", began)
        return out, False

    def snapshot(self) -> tuple[int, int | None] | None:
        if self._cut is None:
            return None if self._shard < 0 else (self._shard, self._token)
        began = self._run.timings.begin("customer snapshot")
        if self._changed or self._timers.changes:
            self._changed = True
            self._hot.write_back()
            self._all_written()
            self._versions.write_back()
            self._write_alarms()
            self._store.write([(META, _pack((self._customers.counts, self._watermark)))])
            if self._customers.shown:
                self._store.write([(SHOWN, _pack(self._customers.shown))])
            if self._customers.models is not self._models:
                self._models = self._customers.models
                self._store.write([(MODELS, _pack(self._models))])
        token = self._save(self._store)
        self._run.timings.pause("customer", began)
        return self._shard, token

    def _settle(self, came: int) -> None:
        self._writing.batch(came, time.monotonic())
        self._customers.written(self._hot.write_back(self._writing.due(self._hot.unwritten)))
        self._versions.write_back(self._writing.due(self._versions.unwritten))
        self._hot.settle()
        self._versions.settle()
        self._remembered += came
        if self._remembered > MOST_REMEMBERED:
            self._hot.write_back()
        if not self._hot.unwritten:
            self._all_written()
        if len(self._timers.changes) > MOST_ALARMS:
            self._write_alarms()

    def _all_written(self) -> None:
        self._customers.all_written()
        self._remembered = 0

    def _write_alarms(self) -> None:
        changes = self._timers.changes
        self._store.write((_alarm_key(alarm), b"" if there else None) for alarm, there in changes.items())
        changes.clear()

    def _scan(self, low: int, high: int) -> Iterator[Alarm]:
        for key, _ in self._store.scan(b"t" + struct.pack(">q", low), b"t" + struct.pack(">q", high)):
            yield struct.unpack(">q", key[1:9])[0], key[9:].decode()


def _record(id: str, raw: bytes) -> Record:
    """What cannot be read is no fault of the event that asked for it."""
    try:
        return records.decode(id, raw)
    except ValueError as error:
        raise unusable(f"cannot read the record of customer {id}", error) from None


def _alarm_key(alarm: Alarm) -> bytes:
    return b"t" + struct.pack(">q", alarm[0]) + alarm[1].encode()
