"""What a process counts. Steps count here, a batch at a time; exporters read.

Nothing here knows an exporter: a count is a number in a dict, a histogram a list of them. So it costs the
same, next to nothing, whether somebody reads or not.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable

from flows.telemetry.table import BOUNDS, METRICS, Metric

Labels = tuple[str, ...]


class Histogram:
    """Seconds, in the buckets of `BOUNDS` and one for what is longer still.

    >>> it = Histogram(); it.add(0.003); it.add(999.0)
    >>> it.count, it.buckets[3], it.buckets[-1]
    (2, 1, 1)
    """

    __slots__ = ("buckets", "count", "longest", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0
        self.longest = 0.0
        self.buckets = [0] * (len(BOUNDS) + 1)

    def add(self, seconds: float) -> None:
        self.total += seconds
        self.count += 1
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        if seconds > self.longest:
            self.longest = seconds


Value = float | Histogram


def _sum(one: Value, other: Value) -> Value:
    if isinstance(one, Histogram) and isinstance(other, Histogram):
        found = Histogram()
        found.total, found.count = one.total + other.total, one.count + other.count
        found.longest = max(one.longest, other.longest)
        found.buckets = [a + b for a, b in zip(one.buckets, other.buckets, strict=True)]
        return found
    assert not isinstance(one, Histogram)
    assert not isinstance(other, Histogram)
    return one + other


Point = tuple[str, Labels, Value]  # metric, values of its labels in the table's order, how much
Reader = Callable[[], Iterable[Point]]
Reading = list[tuple[Metric, dict[Labels, Value]]]


class Figures:
    """`count` and `observe` are for any thread, `watch` for what others keep themselves: numbers that are
    read when somebody asks. Of several values with the same labels the sum is told."""

    def __init__(self) -> None:
        self.began = time.time()
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, Labels], float] = {}
        self._histograms: dict[tuple[str, Labels], Histogram] = {}
        self._readers: list[Reader] = []

    def count(self, metric: str, by: float, *labels: str) -> None:
        with self._lock:
            self._counts[metric, labels] = self._counts.get((metric, labels), 0) + by

    def observe(self, metric: str, seconds: float, *labels: str) -> None:
        with self._lock:
            found = self._histograms.get((metric, labels))
            if found is None:
                found = self._histograms[metric, labels] = Histogram()
            found.add(seconds)

    def watch(self, reader: Reader) -> None:
        """Ask `reader` at every reading, from another thread: what it iterates over must be a copy."""
        self._readers.append(reader)

    def read(self) -> Reading:
        """Everything as it is now, in the table's order; metrics without a value are left out."""
        found: dict[str, dict[Labels, Value]] = {it.name: {} for it in METRICS}
        with self._lock:
            kept: list[Point] = [(name, labels, value) for (name, labels), value in self._counts.items()]
            kept += [(name, labels, value) for (name, labels), value in self._histograms.items()]
        for reader in list(self._readers):
            kept += reader()
        for name, labels, value in kept:
            values = found[name]
            before = values.get(labels)
            values[labels] = value if before is None else _sum(before, value)
        return [(it, found[it.name]) for it in METRICS if found[it.name]]
