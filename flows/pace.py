"""Flow control: how many events may enter in one epoch.

Bytewax queues without bound inside an epoch and waits for everything at its end; that wait, from the
source's snapshot to its next turn, is the drain. The cap follows it: halved at once when the drain takes
longer than the epoch did, raised slowly while the cap is what limits. Snapshots alone take a part of the
drain that fewer events would not shorten, so the cap stays above a floor.
"""

from __future__ import annotations

LEAST, MOST = 10_000, 10_000_000
FIRST, A_SECOND = 200_000, 40_000  # the cap to begin with: more than a worker does in its epoch


class Pace:
    """`epoch` in seconds. Times are monotonic seconds given by the caller."""

    def __init__(self, epoch: float) -> None:
        self._epoch = epoch
        self.cap = max(FIRST, round(A_SECOND * epoch))
        self.count = 0
        self._closed_at: float | None = None

    @property
    def full(self) -> bool:
        return self.count >= self.cap

    def closed(self, now: float) -> None:
        """The epoch was closed (its snapshot is being taken)."""
        if self._closed_at is None:
            self._closed_at = now

    def opened(self, now: float) -> None:
        """The source has its first turn in the next epoch."""
        if self._closed_at is None:
            return
        drain = now - self._closed_at
        self._closed_at = None
        if drain > self._epoch and self.count:
            self.cap = max(LEAST, min(self.cap, self.count) // 2)
        elif self.count >= self.cap * 9 // 10:
            self.cap = min(MOST, self.cap * 5 // 4)
        self.count = 0
