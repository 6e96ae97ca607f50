"""The step that keeps history: every event under its leaf, on disk and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from bytewax.operators import StatefulBatchLogic

from flows.settings import Run
from flows.steps import META, Step
from flows.telemetry import views
from flows.telemetry.figures import Point
from operators.history import appended
from operators.operations import Pack
from state.store import Store

FORMAT = 1
_pack = msgspec.msgpack.Encoder().encode


class About(msgspec.Struct, array_like=True):
    """What a shard knows of itself: it holds the events from the cut `since` on, when the watermark was
    `watermark` (ms, -1: from the very first)."""

    format: int
    since: int
    watermark: int


_unpack = msgspec.msgpack.Decoder(About).decode


def folder(shard: int) -> str:
    """The name of a shard's store in the state directory."""
    return f"history-{shard:02d}"


def about(raw: bytes | None) -> About | None:
    return None if raw is None else _unpack(raw)


class History(Step, StatefulBatchLogic[Pack, None, tuple[int, int | None] | None]):
    """One shard of leaves. Nothing is kept in memory: events go to the store as they come."""

    def __init__(self, run: Run, token: tuple[int, int | None] | None) -> None:
        super().__init__(run, token[1] if token else None)
        self._shard = token[0] if token else -1
        self._about: About | None = None

    def _make(self, name: str, cut: int) -> Store:
        # A scope that had no history before begins one with its next cut.
        return Store(
            self._run.directory.step(name), cut, self._token, compressed=True, begins=self._token is None
        )

    def _open(self, store: Store) -> None:
        self._store = store
        self._about = about(store.get(META))

    def _points(self) -> Iterator[Point]:
        yield from views.stored("history", self._store.folder)

    def on_batch(self, values: list[Pack]) -> tuple[list[None], bool]:
        began = self._run.timings.begin("history")
        for pack in values:
            self._shard = pack.shard
            self._follow(folder(pack.shard), pack.number, pack.run)
            if self._about is None:
                self._about = About(FORMAT, pack.number, pack.before)
                self._store.write([(META, _pack(self._about))])
                self._changed = True
            if pack.operations:
                self._store.write(appended(pack))
                self._changed = True
        self._run.timings.add("history", began)
        return [], False

    def snapshot(self) -> tuple[int, int | None] | None:
        if self._cut is None:
            return None if self._shard < 0 else (self._shard, self._token)
        began = self._run.timings.begin("history snapshot")
        token = self._save(self._store)
        self._run.timings.pause("history", began)
        return self._shard, token
