"""Which messages of a customer have come already: the part `seen` of their record.

A message is known by checksums of (topic, message id) and of its payload, for a window of event time
that begins when it came: at its own time, or at the watermark if that was later. The same id with
another payload is another message, and OTHER says that senders use an id twice.

Two different ids of one customer share a checksum once in 4 billion; both are kept all the same, only
the flag is wrong then.
"""

from __future__ import annotations

from typing import Final

# Checksum of the id -> seconds << 32 | checksum of the payload, of the newest payload; older ones of
# the same id have the key payload << 32 | id.
Seen = dict[int, int]

_LOW: Final = 0xFFFFFFFF
_LOOK_EVERY: Final = 64  # messages, for what is past the window

# What is known of a message: nothing, that it came, or that its id came with another payload.
NEW: Final = 0
SAME: Final = 1
OTHER: Final = 2


def note(seen: Seen, id: int, payload: int, at: int, now: int, window: int) -> int:
    """Note a message that happened at `at` and came when the watermark was `now` (ms).

    >>> seen = {}
    >>> [note(seen, 1, payload, 5_000, 6_000, 60_000) for payload in (7, 7, 8, 7, 8)]
    [0, 1, 2, 1, 1]
    """
    oldest = (now - window) // 1000
    stamp = (at if at > now else now) // 1000 << 32 | payload
    old = seen.get(id)
    if old is None or old >> 32 < oldest:
        if seen and len(seen) % _LOOK_EVERY == 0:
            forget(seen, now, window)
        seen[id] = stamp
        return NEW
    if old & _LOW == payload:
        return SAME
    other = seen.get(payload << 32 | id)
    if other is not None and other >> 32 >= oldest:
        return SAME
    _put(seen, id, stamp)
    return OTHER


def merge(mine: Seen, theirs: Seen) -> None:
    """Take over what the other customer's record has seen."""
    for key, stamp in theirs.items():
        _put(mine, key & _LOW, stamp)


def forget(seen: Seen, now: int, window: int) -> None:
    """Drop what no message can repeat that comes when the watermark is `now` (ms) or later."""
    oldest = (now - window) // 1000 << 32
    for stale in [key for key, when in seen.items() if when < oldest]:
        del seen[stale]


def _put(seen: Seen, id: int, stamp: int) -> None:
    """Keep one stamp a payload, its latest, and the newest of all under the id alone."""
    stamps = {stamp & _LOW: stamp}
    first = seen.get(id)
    for old in (first, seen.pop((stamp & _LOW) << 32 | id, None)):
        if old is not None:
            stamps[old & _LOW] = max(old, stamps.get(old & _LOW, old))
    newest = max(stamps.values())
    seen[id] = newest
    for payload, kept in stamps.items():
        if kept != newest:
            seen[payload << 32 | id] = kept
