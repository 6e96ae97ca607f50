"""How a worker has Python look for cycles."""

from __future__ import annotations

import atexit
import gc
import threading
import time

EVERY = 3600.0  # seconds


def look_rarely() -> None:
    """Garbage dies by reference count: events and scrapes leave no cycles behind
    (`tests/flows/test_garbage.py`), nor did exports of metrics. To look for some is to go through all that
    is new of the hot customers while everything stands still. Python would do so again and again: .1 to .3 s
    every ten seconds at full load with 20,000 customers, a tenth of all time with more than are kept hot.
    What a library may leave behind where something fails is looked for once an hour. At the end of the
    process Python would go through everything four times for nothing (5 µs an event of 200,000).
    """
    gc.freeze()
    gc.disable()
    threading.Thread(target=_look, name="garbage", daemon=True).start()
    atexit.register(gc.freeze)


def _look() -> None:
    while True:
        time.sleep(EVERY)
        gc.collect(0)
