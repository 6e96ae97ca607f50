"""The order of a scope, written down: cuts, the watermark, and event-time alignment.

`Front` holds what has arrived on every input partition and is not released yet, and proposes the next
cut. It does no input or output: `flows/source.py` fills it, writes the cut to the `order` topic, and
only then takes the events out.

The watermark is the least clock of all input partitions. A partition's clock is the highest event
time released from it, or, while it is proven to have nothing more (a fresh answer of the broker), the
highest event time that had arrived anywhere when the broker was asked: whatever is produced to it
later was produced after those. A partition that has neither reported nor been proven idle holds the
watermark at -1. Nothing depends on a wall clock, so an outage of the broker lets no time pass.

Reference data leads: while a reference partition is known to hold more than was delivered, no event goes
beyond the newest of what was, however large the alignment is. So a price of the moment before an order is
applied before it, also when a backlog is worked off or everything is read once more.
"""

from __future__ import annotations

from collections import deque

from operators.cuts import Arrival, Batch, Cut

EVENT, MOVE, COMMAND, BAD, REFERENCE, MODEL = range(6)
INTERNAL_TIME = -1  # internal records sort before every event of their cut
NEVER = 1 << 62


class Front:
    """What has arrived and waits for its cut.

    Parameters
    ----------
    inputs
        Number of reference and channel partitions, indexes 0 to inputs - 1; these make the watermark.
    internals
        Number of internal partitions (moves, control, models), which follow them.
    alignment
        How far, in ms of event time, a partition may run ahead of the slowest one.
    leading
        Number of reference partitions; they come first.
    """

    def __init__(self, inputs: int, internals: int, alignment: int, leading: int = 0) -> None:
        self.inputs = inputs
        self.leading = leading
        self.size = inputs + internals
        self.alignment = alignment
        self.offsets = [0] * self.size  # released up to here, exclusive
        self.arrived_to = [0] * self.size  # delivered up to here, exclusive
        self.reached = [0] * self.size  # nothing more was there up to here (transactions leave gaps)
        self.highest = [-1] * inputs  # event time, released
        self.newest = [-1] * inputs  # event time, arrived
        self.idle_until = [-1] * inputs  # event time up to which a partition is proven idle
        self.drained = [False] * inputs  # delivered to its end, and nothing came since
        self.waiting: list[deque[Arrival]] = [deque() for _ in range(self.size)]
        self.released = [0] * self.size  # how many, since this process began
        self.held = 0  # arrivals waiting
        self.number = 0
        self.watermark = -1
        self.ends_at: list[int] | None = None  # the input's end, once commanded
        self.ended = False  # the last cut is out; only internal records follow

    def resume(self, offsets: list[int], highest: list[int], number: int, watermark: int) -> None:
        """Continue behind cut `number`, as if everything before `offsets` had been released."""
        self.offsets, self.arrived_to, self.reached = list(offsets), list(offsets), list(offsets)
        self.highest, self.newest = list(highest), list(highest)
        self.number, self.watermark = number, watermark

    def add(self, arrival: Arrival) -> None:
        """One record, in offset order within its partition."""
        at, index, offset = arrival[0], arrival[1], arrival[2]
        self.waiting[index].append(arrival)
        self.arrived_to[index] = self.reached[index] = offset + 1
        self.held += 1
        if index < self.inputs:
            self.drained[index] = False
            if at > self.newest[index]:
                self.newest[index] = at

    def pass_over(self, index: int, offset: int, at: int) -> None:
        """Records up to `offset`, the newest of them of `at`, were delivered and are not to be let in."""
        self.arrived_to[index] = max(self.arrived_to[index], offset + 1)
        self.reached[index] = max(self.reached[index], offset + 1)
        self.newest[index] = max(self.newest[index], at)

    def read_up_to(self, index: int, offset: int) -> None:
        """The partition ends at `offset`, and all of it has been delivered; gaps that transactions leave
        included."""
        self.reached[index] = max(self.reached[index], offset)
        if index < self.inputs:
            self.drained[index] = True

    def latest(self) -> int:
        """Highest event time that has arrived anywhere."""
        return max(self.newest)

    def proven_idle(self, index: int, until: int) -> None:
        """The broker, asked when the highest arrived event time was `until`, had nothing more for it."""
        if not self.waiting[index] and until > self.idle_until[index]:
            self.idle_until[index], self.drained[index] = until, True

    def laggards(self, slack: int) -> list[int]:
        """Partitions without waiting events whose clock is more than `slack` ms behind."""
        latest = self.latest() - slack
        return [
            i
            for i in range(self.inputs)
            if not self.waiting[i] and max(self.highest[i], self.idle_until[i]) < latest
        ]

    def finish_at(self, ends: list[int]) -> None:
        """No more input than up to `ends` (one per channel partition)."""
        self.ends_at = ends

    def propose(self, incarnation: int, most: int = NEVER, always: bool = False) -> Cut | None:
        """The next cut, of about `most` events; None when it would change nothing, unless `always`."""
        limit = min(self._aligned_limit(), self._sized_limit(most))
        events_limit = min(limit, self._led_limit())
        ends: dict[int, int] = {}
        count = 0
        clocks: list[int] = []
        for i in range(self.inputs):
            if i == self.leading:
                limit = events_limit
            highest = self.highest[i]
            end = self.offsets[i]
            if self.waiting[i]:
                if self.newest[i] <= limit:
                    count += len(self.waiting[i])
                    end, highest = self.arrived_to[i], self.newest[i]
                else:
                    for arrival in self.waiting[i]:
                        if arrival[0] > limit:
                            break
                        highest = max(highest, arrival[0])
                        end = arrival[2] + 1
                        count += 1
                if end > self.offsets[i]:
                    ends[i] = end
            clocks.append(NEVER if self._over(i, end) else max(highest, self.idle_until[i]))
        for i in range(self.inputs, self.size):
            if self.waiting[i]:
                ends[i] = self.arrived_to[i]
                count += len(self.waiting[i])
        least = min(clocks)
        last = least == NEVER and not self.ended
        watermark = max(self.watermark, self.latest() if least == NEVER else least)
        if not ends and watermark == self.watermark and not last and not always:
            return None
        return Cut(incarnation, self.number + 1, watermark, ends, count, last)

    def has(self, cut: Cut) -> bool:
        """Whether everything the cut names has arrived (when cuts are repeated from `order`)."""
        return all(self.reached[i] >= end for i, end in cut.ends.items())

    def release(self, cut: Cut, run: int, places: list[str]) -> Batch:
        """Take the cut's events out, in (event time, partition, offset) order, internal ones first."""
        events: list[Arrival] = []
        for i, end in cut.ends.items():
            queue = self.waiting[i]
            if queue and queue[-1][2] < end:
                taken = list(queue)
                queue.clear()
            else:
                taken = []
                while queue and queue[0][2] < end:
                    taken.append(queue.popleft())
            self.offsets[i] = end
            self.released[i] += len(taken)
            if i < self.inputs and taken:
                self.highest[i] = max(self.highest[i], max(arrival[0] for arrival in taken))
            events += taken
        self.held -= len(events)
        events.sort(key=_place)
        before = self.watermark
        self.number, self.watermark = cut.number, cut.watermark
        self.ended = self.ended or cut.last
        return Batch(cut.number, cut.watermark, before, cut.last, run, places, events)

    def _over(self, index: int, end: int) -> bool:
        if self.ends_at is None:
            return False
        if end == self.arrived_to[index]:
            end = self.reached[index]
        return end >= self.ends_at[index]

    def _sized_limit(self, most: int) -> int:
        """An event time up to which not more than `most` events wait: backlog is cut into slices of time."""
        if self.held <= most:
            return NEVER
        busy = [queue for queue in self.waiting[: self.inputs] if queue]
        if not busy:  # all that waits is internal
            return NEVER
        share = max(1, most // len(busy))
        limit = min((queue[share][0] for queue in busy if len(queue) > share), default=NEVER)
        return max(limit, min(queue[0][0] for queue in busy))  # a late event must not stop everything

    def _aligned_limit(self) -> int:
        """The event time up to which every partition may be released."""
        fronts = [
            max(self.newest[i], self.idle_until[i])
            for i in range(self.inputs)
            if self.waiting[i] or not self._over(i, self.arrived_to[i])
        ]
        return min(fronts) + self.alignment if fronts else NEVER

    def _led_limit(self) -> int:
        """The event time up to which all reference data is known to be here. Where more is to come, it
        may be of the very moment of the newest."""
        behind = (
            max(self.newest[i] - 1, self.idle_until[i])
            for i in range(self.leading)
            if not self.drained[i] and not self._over(i, self.arrived_to[i])
        )
        return min(behind, default=NEVER)


def _place(arrival: Arrival) -> tuple[int, int, int]:
    return arrival[0], arrival[1], arrival[2]
