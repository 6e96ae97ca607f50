"""Large pages for the memory of a worker.

What a worker knows of its customers are millions of small objects, and nearly every look at one of them is a
look at another page of 4 kB, which the processor has to find first. Python does not ask for larger ones. So
this does, where the system leaves that to programs: `madvise` in /sys/kernel/mm/transparent_hugepage/enabled.
"""

from __future__ import annotations

import ctypes
import re
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")
MAPS = Path("/proc/self/smaps")
STATM = Path("/proc/self/statm")
LEAST = 4 * 1024 * 1024
FULL = 0.9  # what is mostly unused, such as the stack of a thread, would begin to take memory
LOOK = 1.0  # seconds
GROWN = 1.1
MADV_COLLAPSE = 25  # since Linux 6.1; before, this does nothing

_libc = ctypes.CDLL(None)

_REGION = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ 00:00 0 +(\[heap\])?\n(?:.*\n)*?Rss: +(\d+) kB", re.M
)


def follow() -> None:
    """Ask for all that the process grows by, in a thread of its own."""
    try:
        asked_for = "[madvise]" in SETTING.read_text()
    except OSError:
        return  # no Linux, or one without
    if asked_for:
        threading.Thread(target=_follow, name="hugepages", daemon=True).start()


def _follow() -> None:
    asked = 0.0
    while True:
        time.sleep(LOOK)
        try:
            resident = int(STATM.read_text().split()[1])
            if resident > asked * GROWN:
                asked = resident
                ask(regions(MAPS.read_text()))
        except OSError:
            return  # what cannot be read is not worth more


def ask(found: Iterable[tuple[int, int]]) -> None:
    """Bring regions of memory into large pages, as far as there are any. Who uses a page that is being copied
    waits."""
    for begin, size in found:
        _libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(size), MADV_COLLAPSE)


def regions(maps: str) -> Iterator[tuple[int, int]]:
    """Address and size (bytes) of what is worth it in the text of /proc/self/smaps."""
    for found in _REGION.finditer(maps):
        begin, end = int(found[1], 16), int(found[2], 16)
        if end - begin >= LEAST and int(found[4]) * 1024 >= FULL * (end - begin):
            yield begin, end - begin
