"""Where a worker's time goes: seconds and calls per step, the longest call, and what it is in now."""

from __future__ import annotations

import json
import os
import resource
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.telemetry.figures import Histogram, Point
from flows.telemetry.table import BOUNDS

SNAPSHOT = " snapshot"  # ends the name of a step's snapshots
IDLE = "idle"  # a turn of the source that found nothing


class Timings:
    """`began = begin(step)`, then `add(step, began)` after the call; costs about 0.5 µs a call, not an event.

    `doing` is the call that the thread of the dataflow is in, or "", `since` (monotonic seconds) when that
    began or ended; `awaits` says what outside of this process it waits for, if it does.
    """

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.steps: dict[str, Histogram] = {}
        self.counts: dict[str, int] = {}
        self.doing = self.awaits = ""
        self.since = 0.0
        self.thread = 0
        self._start_cpu = 0.0
        self._pause = 0.0
        self._pauses: list[float] = []
        self._closed_at = 0.0
        self._pause_times, self._epoch_times = Histogram(), Histogram()

    def begin(self, step: str) -> float:
        if not self.thread:
            self.thread = threading.get_ident()
            self._start_cpu = time.process_time()
        began = time.perf_counter()
        self.since, self.doing = began, step
        return began

    def waits(self, what: str) -> None:
        """Until the call ends or `waits("")`, another's slowness is not this process's."""
        self.awaits = what
        self.since = time.perf_counter()

    def add(self, step: str, began: float) -> None:
        now = time.perf_counter()
        self.since, self.doing, self.awaits = now, "", ""
        took = now - began
        row = self.steps.get(step)
        if row is None:
            row = self.steps[step] = Histogram()
        row.total += took
        row.count += 1
        row.buckets[bisect_left(BOUNDS, took)] += 1
        if took > row.longest:
            row.longest = took

    def pause(self, step: str, began: float) -> None:
        """A snapshot: besides its own time, the sum over all snapshots of the epoch counts."""
        self.add(step + SNAPSHOT, began)
        self._pause += time.perf_counter() - began

    def epoch(self) -> None:
        """An epoch closes; its snapshots follow."""
        now = time.perf_counter()
        if self._closed_at:
            self._pauses.append(self._pause)
            self._pause_times.add(self._pause)
            self._epoch_times.add(now - self._closed_at)
        self._closed_at = now
        self._pause = 0.0

    def count(self, what: str, by: int) -> None:
        self.counts[what] = self.counts.get(what, 0) + by

    def points(self) -> Iterator[Point]:
        """For `Figures.watch`."""
        for step, row in list(self.steps.items()):
            if step.endswith(SNAPSHOT):
                yield "oncue.checkpoint.duration", (step.removesuffix(SNAPSHOT),), row
            elif step != IDLE:
                yield "oncue.step.duration", (step,), row
        yield "oncue.epoch.pause", (), self._pause_times
        yield "oncue.epoch.duration", (), self._epoch_times
        yield "oncue.cuts", (), self.counts.get("cuts", 0)

    def _pause_figures(self) -> dict[str, float]:
        """Of the first tenth of the epochs nothing counts: stores open and caches fill then."""
        found = sorted(self._pauses[max(1, len(self._pauses) // 10) :])
        if not found:
            return {}
        return {
            "epochs": len(found),
            "p50": round(found[len(found) // 2] * 1000, 1),
            "max": round(found[-1] * 1000, 1),
        }

    def write(self) -> None:
        """Where ONCUE_TIMINGS names a file, leave a JSON summary there."""
        path = os.environ.get("ONCUE_TIMINGS")
        if path is None:
            return
        used = resource.getrusage(resource.RUSAGE_SELF)
        summary: dict[str, Any] = {
            "wall_s": time.perf_counter() - self.began,
            "cpu_s": used.ru_utime + used.ru_stime,
            "start_cpu_s": self._start_cpu,
            "resident_mb": used.ru_maxrss // 1024,
            "counts": self.counts,
            "pauses_ms": self._pause_figures(),
            "steps": {
                name: {"s": row.total, "calls": row.count, "longest_ms": row.longest * 1000}
                for name, row in sorted(self.steps.items())
            },
        }
        Path(path).write_text(json.dumps(summary))
