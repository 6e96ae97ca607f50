"""Event-time timers: one alarm per customer, fired in (due, customer) order as the watermark passes.

Only alarms due before a horizon are in memory; the rest stay in the store and are read when the
watermark comes near, not too many at once: so opening a shard does not depend on how many customers it has,
nor on how many of them have something due soon.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

Alarm = tuple[int, str]
Scan = Callable[[int, int], Iterable[Alarm]]

SPAN = 600_000  # ms that the horizon is ahead of the watermark, if not too much is due until then
MOST_READ = 2_000  # alarms at once; of the last one's moment all


class Timers:
    """Alarms of a shard.

    `scan(low, high)` gives the stored alarms with low <= due < high, in their order. `changes` is what has
    to be written to the store: alarm -> True (put) or False (delete); the store empties it.

    >>> timers = Timers(lambda low, high: [])
    >>> timers.set("c-1", -1, 50); timers.set("c-1", 50, 70)
    >>> timers.due(60, 10), timers.due(70, 10)
    ([], ['c-1'])
    """

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._horizon = -1
        self._heap: list[Alarm] = []
        self._live: set[Alarm] = set()
        self.changes: dict[Alarm, bool] = {}

    def set(self, customer: str, old: int, new: int) -> None:
        """Move the customer's alarm from `old` to `new` (ms; -1: none)."""
        if old >= 0:
            alarm = (old, customer)
            self.changes[alarm] = False
            self._live.discard(alarm)
        if new >= 0:
            alarm = (new, customer)
            self.changes[alarm] = True
            if new < self._horizon:
                self._add(alarm)

    def reset(self, customer: str, alarm: int) -> None:
        """The customer's only alarm is `alarm` (-1: none), whatever was set since the last write."""
        for due, there in [(due, there) for (due, id), there in self.changes.items() if id == customer]:
            if there:
                self.set(customer, due, -1)
        self.set(customer, -1, alarm)

    def due(self, watermark: int, budget: int) -> list[str]:
        """Customers whose alarm is due, at most `budget`; the rest follow with the next cut."""
        found: list[str] = []
        heap = self._heap
        while len(found) < budget:
            if heap and heap[0][0] <= watermark:
                alarm = heapq.heappop(heap)
                if alarm in self._live:
                    self._live.discard(alarm)
                    found.append(alarm[1])
            elif self._horizon <= watermark:
                self._extend(watermark + SPAN)
            else:
                break
        return found

    def _add(self, alarm: Alarm) -> None:
        if alarm not in self._live:
            self._live.add(alarm)
            heapq.heappush(self._heap, alarm)

    def _extend(self, horizon: int) -> None:
        """Read on, up to `horizon` or as far as one reading goes."""
        low = last = max(self._horizon, 0)
        for count, alarm in enumerate(self._scan(low, horizon)):
            if count >= MOST_READ and alarm[0] > last:
                horizon = alarm[0]
                break
            last = alarm[0]
            if self.changes.get(alarm, True):
                self._add(alarm)
        for alarm, there in self.changes.items():
            if there and low <= alarm[0] < horizon:
                self._add(alarm)
        self._horizon = horizon
