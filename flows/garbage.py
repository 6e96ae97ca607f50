"""How a worker has Python look for cycles."""

from __future__ import annotations

import gc


def look_rarely() -> None:
    """Nearly all garbage dies by reference count. A full collection over the hot customers of a worker stops
    it for up to a second, so only the young generation is looked through, and not often."""
    gc.freeze()
    gc.set_threshold(400_000, 100, 1_000_000)
