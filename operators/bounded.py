"""Cuts of an input that is known to end: in the order of event time, or as another order has it.

In the order of event time a cut depends on the records alone, not on when they were delivered: it is
proposed once every partition has shown what comes behind its share, or its end. So the same range gives
the same cuts, however fast it is read. Across partitions nothing is released before what happened earlier;
within one the order of offsets counts, so what was sent late there stays late.
"""

from __future__ import annotations

from itertools import islice

from operators.cuts import Cut
from operators.order import NEVER, Front


def propose(front: Front, incarnation: int, share: int, models: int = -1) -> Cut | None:
    """The next cut in event-time order, of at most `share` events from each partition. None while it is not
    known what it holds, unless a move or a command can go. `models` is the index of the partition of
    models, each of which is let in once time has come to when it was published.

    A partition's clock is the time of its last event released, or just before that of its next one, if
    that is more: both are known. At the end of the last one time has reached the newest event.
    """
    if front.ended or not all(_known(front, i, share) for i in range(front.inputs)):
        return internals(front, incarnation, models)
    limit = min((_horizon(front, i, share) for i in range(front.inputs)), default=NEVER)
    events_limit = limit
    ends: dict[int, int] = {}
    clocks: list[int] = []
    count = 0
    for i in range(front.inputs):
        waiting, highest, end = front.waiting[i], front.highest[i], front.offsets[i]
        following = -1
        taken = 0
        for arrival in islice(waiting, share + 1):
            if taken == share or arrival[0] > (limit if i < front.leading else events_limit):
                following = arrival[0]
                break
            if arrival[0] > highest:
                highest = arrival[0]
            end = arrival[2] + 1
            taken += 1
        if taken:
            ends[i] = end
            count += taken
        if following < 0 and over(front, i):
            clocks.append(NEVER)
            continue
        clocks.append(max(highest - (following == highest), following - 1))
        if i < front.leading:
            events_limit = min(events_limit, following - 1)
    found = internals(front, incarnation, models)
    if found is not None:
        ends.update(found.ends)
        count += found.events
    least = min(clocks, default=NEVER)
    watermark = max(front.watermark, front.latest() if least == NEVER else least)
    return Cut(incarnation, front.number + 1, watermark, ends, count, least == NEVER)


def repeat(
    front: Front, incarnation: int, recorded: dict[int, int], watermark: int, source: int, models: int = -1
) -> Cut:
    """A cut that lets in what a recorded one did, models included, as far as it is not in yet; `source` is
    where that one is written. Moves and commands that wait go along."""
    ends = {i: end for i, end in recorded.items() if end > front.offsets[i]}
    found = internals(front, incarnation, models, -1)
    if found is not None:
        ends.update(found.ends)
    count = sum(end - front.offsets[i] for i, end in ends.items())
    return Cut(incarnation, front.number + 1, max(watermark, front.watermark), ends, count, False, source)


def closing(front: Front, incarnation: int) -> Cut:
    """The cut that says that the input ends here. Time stays where it is."""
    return Cut(incarnation, front.number + 1, front.watermark, {}, 0, True)


def internals(front: Front, incarnation: int, models: int = -1, until: int | None = None) -> Cut | None:
    """Only the moves and commands that wait, and the models that were published up to `until` (ms), by
    default as far as time has come."""
    moment = front.watermark if until is None else until
    ends: dict[int, int] = {}
    count = 0
    for i in range(front.inputs, front.size):
        for arrival in front.waiting[i]:
            if i == models and arrival[4] > moment:
                break
            ends[i] = arrival[2] + 1
            count += 1
    if not ends:
        return None
    return Cut(incarnation, front.number + 1, front.watermark, ends, count)


def over(front: Front, index: int) -> bool:
    """Everything of a partition up to the input's end has been delivered."""
    assert front.ends_at is not None
    return front.reached[index] >= front.ends_at[index]


def _known(front: Front, index: int, share: int) -> bool:
    return len(front.waiting[index]) > share or over(front, index)


def _horizon(front: Front, index: int, share: int) -> int:
    """The event time up to which a partition's share reaches."""
    waiting = front.waiting[index]
    if len(waiting) <= share:
        return NEVER
    return max(arrival[0] for arrival in islice(waiting, share))
