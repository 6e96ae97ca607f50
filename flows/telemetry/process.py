"""The process itself, as its operating system sees it."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from flows.telemetry.figures import Point

_PAGE = os.sysconf("SC_PAGE_SIZE")
_BEGAN = time.monotonic()


def points() -> Iterator[Point]:
    """For `Figures.watch`."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield "process.cpu.time", ("user",), used.ru_utime
    yield "process.cpu.time", ("system",), used.ru_stime
    yield "process.uptime", (), time.monotonic() - _BEGAN
    resident, files, threads = used.ru_maxrss * 1024, 0, threading.active_count()
    with suppress(OSError):  # not on every system
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
        files = len(os.listdir("/proc/self/fd"))
        threads = len(os.listdir("/proc/self/task"))
    yield "process.memory.usage", (), resident
    yield "process.unix.file_descriptor.count", (), files
    yield "process.thread.count", (), threads
