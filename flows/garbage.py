"""How a worker has Python look for cycles."""

from __future__ import annotations

import atexit
import gc


def look_rarely() -> None:
    """Nearly all garbage dies by reference count. A full collection over the hot customers of a worker stops
    it for up to a second, so only the young generation is looked through, and not often. At the end of the
    process Python would make four of them for nothing (5 µs an event of 200,000)."""
    gc.freeze()
    gc.set_threshold(400_000, 100, 1_000_000)
    atexit.register(gc.freeze)
