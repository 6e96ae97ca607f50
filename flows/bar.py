"""How far a replay is: percent, events a second, the event time reached, the time left."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from flows.telemetry import log

if TYPE_CHECKING:
    from rich.progress import Progress

EVERY = {True: 0.25, False: 5.0}  # seconds between updates, on a terminal and elsewhere
FORGET = 10.0  # seconds over which the speed is measured


class Bar:
    """To be called with the events done and the watermark (ms), as often as one likes."""

    def __init__(self, total: int, what: str = "replay") -> None:
        self._total = max(1, total)
        self._what = what
        self._draws = sys.stderr.isatty() and log.format_used() == "text"
        self._every = EVERY[self._draws]
        self._bar: Progress | None = None
        self._marks: list[tuple[float, int]] = []
        self._next = 0.0

    def __call__(self, done: int, watermark: int) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        if not self._marks and not self._draws:
            self._marks = [(now, done)]
            self._next = now + self._every
            return
        self._next = now + self._every
        self._marks = [*(mark for mark in self._marks[-100:] if now - mark[0] <= FORGET), (now, done)]
        since, before = self._marks[0]
        rate = (done - before) / (now - since) if now > since else 0.0
        said = describe(done, self._total, rate, watermark)
        if self._draws:
            self._draw(done, said)
        else:
            log.say(f"{self._what}: {100 * done / self._total:.1f} %, {said}")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _draw(self, done: int, said: str) -> None:
        if self._bar is None:
            from rich.console import Console  # only on a terminal, see flows/progress.py
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            self._bar = Progress(
                TextColumn(self._what), BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"),
                console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total)
        self._bar.update(self._task, completed=done, description=said)


def describe(done: int, total: int, rate: float, watermark: int) -> str:
    """In words.

    >>> describe(250, 1000, 50.0, 1_298_937_600_000)
    '250 of 1,000 events, 50 events/s, event time 2011-03-01 00:00, 0:00:15 left'
    """
    time_ = f"{datetime.fromtimestamp(watermark / 1000, UTC):%Y-%m-%d %H:%M}" if watermark >= 0 else "-"
    left = timedelta(seconds=round((total - done) / rate)) if rate else "-"
    return f"{done:,} of {total:,} events, {rate:,.0f} events/s, event time {time_}, {left} left"
