"""The step that keeps history: every event under its leaf; fills features that came later from it, and folds
what is older than is to be kept."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from bytewax.operators import StatefulBatchLogic

from flows.hot import Versions
from flows.kept import FILLING, FOLDING, META, About, about, folder, sweep
from flows.settings import Run
from flows.steps import Step
from flows.telemetry import views
from flows.telemetry.figures import Point
from operators.customers import learn
from operators.effects import Effect
from operators.filling import Filling, Progress
from operators.folding import Folding
from operators.history import appended
from operators.operations import REFERENCE, Pack
from operators.reference import Known, Reference
from state.store import Store

FORMAT = 1
_pack = msgspec.msgpack.Encoder().encode


def _known(_: str, raw: bytes) -> Known:
    return _unpack_known(raw)


_unpack_known = msgspec.msgpack.Decoder(Known).decode
_unpack_progress = msgspec.msgpack.Decoder(Progress).decode


class History(Step, StatefulBatchLogic[Pack, tuple[int, list[Effect]], tuple[int, int | None] | None]):
    """One shard of leaves. Events are not kept in memory: they go to the store as they come."""

    def __init__(self, run: Run, token: tuple[int, int | None] | None) -> None:
        super().__init__(run, token[1] if token else None)
        self._shard = token[0] if token else -1
        self._about: About | None = None

    def _make(self, name: str, cut: int) -> Store:
        # A scope that had no history, or whose history was deleted, begins one with its next cut.
        path = self._run.directory.step(name)
        token = self._token if path.exists() else None
        return Store(path, cut, token, compressed=True, begins=token is None)

    def _open(self, store: Store) -> None:
        self._store = store
        engine, book = self._run.playbook.engine, self._run.playbook
        self._versions = Versions(store, b"v", _pack, _known, engine.hot_reference // engine.shards)
        self._reference = Reference(self._versions)
        self._about = about(store.get(META))
        raw = store.get(FILLING)
        progress = _unpack_progress(raw) if raw else Progress(done=[], seen={})
        self._filling = Filling(book, self._shard, progress, self._versions, self._first)
        self._folding = Folding(book, sweep(store.get(FOLDING)), self._versions)

    def _points(self) -> Iterator[Point]:
        yield from views.stored("history", self._store.folder)

    def on_batch(self, values: list[Pack]) -> tuple[list[tuple[int, list[Effect]]], bool]:
        began = self._run.timings.begin("history")
        out = []
        for pack in values:
            self._shard = pack.shard
            if self._cut is None:
                self._first = pack.number
            self._follow(folder(pack.shard), pack.number, pack.run)
            if self._about is None:
                self._about = About(FORMAT, pack.number, pack.before)
                self._store.write([(META, _pack(self._about))])
                self._changed = True
            if pack.operations:
                self._store.write(appended(pack))
                for op in pack.operations:
                    if op[0] == REFERENCE:
                        learn(self._reference, op)
                self._changed = True
            if not self._filling.over:
                out.append((pack.number, [self._filling.step(self._store, pack.number)]))
                self._changed = True
            elif self._folding.step(self._store, self._store.write, pack.watermark, len(pack.operations)):
                self._changed = True
        self._versions.settle()
        self._run.timings.add("history", began)
        return out, False

    def snapshot(self) -> tuple[int, int | None] | None:
        if self._cut is None:
            return None if self._shard < 0 else (self._shard, self._token)
        began = self._run.timings.begin("history snapshot")
        if self._changed:
            self._versions.write_back()
            self._store.write(
                [(FILLING, _pack(self._filling.progress)), (FOLDING, _pack(self._folding.progress))]
            )
        token = self._save(self._store)
        self._run.timings.pause("history", began)
        return self._shard, token
