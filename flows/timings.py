"""Where a worker's time goes: seconds and calls per step, and the longest call."""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path


class Timings:
    """`add(step, began)` after each call; costs about 0.2 µs a call, not an event."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.steps: dict[str, list[float]] = {}
        self.counts: dict[str, int] = {}
        self._pause = 0.0
        self._pauses: list[float] = []

    def add(self, step: str, began: float) -> None:
        took = time.perf_counter() - began
        row = self.steps.get(step)
        if row is None:
            self.steps[step] = [took, 1, took]
        else:
            row[0] += took
            row[1] += 1
            if took > row[2]:
                row[2] = took

    def pause(self, step: str, began: float) -> None:
        """A snapshot: besides its own time, the sum over all snapshots of the epoch counts."""
        self.add(step, began)
        self._pause += time.perf_counter() - began

    def epoch(self) -> None:
        """An epoch closes; its snapshots follow."""
        self._pauses.append(self._pause)
        self._pause = 0.0

    def count(self, what: str, by: int) -> None:
        self.counts[what] = self.counts.get(what, 0) + by

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
        Path(path).write_text(
            json.dumps(
                {
                    "wall_s": time.perf_counter() - self.began,
                    "cpu_s": used.ru_utime + used.ru_stime,
                    "resident_mb": used.ru_maxrss // 1024,
                    "counts": self.counts,
                    "pauses_ms": self._pause_figures(),
                    "steps": {
                        name: {"s": row[0], "calls": int(row[1]), "longest_ms": row[2] * 1000}
                        for name, row in sorted(self.steps.items())
                    },
                }
            )
        )
