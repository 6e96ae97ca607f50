"""Copies of the state at a second place, made by a running worker while it goes on.

The process that reads the input knows when an epoch is durable everywhere, so it makes them: in a thread, of
links to finished checkpoints (state/backup.py). A place that is away costs a warning and nothing else.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from flows.telemetry import log
from flows.telemetry.figures import Figures, Point
from schemas import durations
from schemas.mendable import Mendable
from state.backup import Made, backup
from state.errors import StateError
from state.place import check

PATIENCE = 5.0  # seconds that the end of a run waits for a copy to break off
_MEMBER = "ONCUE_MEMBER_COPYING"


class BadCopying(Mendable, ValueError):
    """Settings that cannot be meant so; the message has all mistakes."""


class Copying(msgspec.Struct, frozen=True):
    """Where to, seconds from one copy to the next, how many stay there (None: all)."""

    url: str
    every: float
    keep: int | None = None


def copying(url: str | None, every: str = "5m", keep: int | None = None) -> Copying | None:
    """None without a URL. Raises BadCopying; that the place cannot be reached now is no mistake."""
    wrong = []
    seconds = 0.0
    if url is None:
        if keep is not None:
            wrong.append("--backup-keep is for --backup URL")
    else:
        try:
            check(url)
        except StateError as error:
            wrong.append(f"--backup {error}")
        try:
            seconds = durations.parse(every) / 1000
        except ValueError as error:
            wrong.append(f"--backup-every: {error}")
    if wrong:
        raise BadCopying("\n       ".join(wrong))
    return None if url is None else Copying(url, seconds, keep)


def for_member(it: Copying | None) -> Mapping[str, str]:
    """What the environment of a supervised process must have besides."""
    return {} if it is None else {_MEMBER: msgspec.json.encode(it).decode()}


def of_member() -> Copying | None:
    given = os.environ.get(_MEMBER)
    return None if given is None else msgspec.json.decode(given, type=Copying)


class _Ended(Exception):
    """The run has ended."""


class Copies:
    """Copies the scope's folder `root`: at the first `durable()`, and at each that comes `every` seconds or
    more after the copy before began. `durable` itself returns at once."""

    def __init__(self, root: Path, it: Copying, figures: Figures) -> None:
        self._root = root
        self._it = it
        self._figures = figures
        self._wanted = threading.Event()
        self._ending = False
        self._began = -it.every
        self._newest = time.time()  # when the state was as the newest copy has it
        self._failing = ""
        self._thread: threading.Thread | None = None

    def durable(self) -> None:
        """An epoch is durable on every worker."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="copies", daemon=True)
            self._thread.start()
            self._figures.count("oncue.backup.failures", 0)
            self._figures.watch(self._points)
        if time.monotonic() - self._began >= self._it.every:
            self._wanted.set()

    def close(self) -> None:
        """A copy that is being made breaks off, within `PATIENCE`; the ones before it stay whole."""
        self._ending = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._ending:
            self._wanted.wait()
            self._wanted.clear()
            self._began, at = time.monotonic(), time.time()
            try:
                made = backup(self._root, self._it.url, self._it.keep, self._go_on)
            except _Ended:
                return
            except Exception as error:  # whatever it is, the run does not need the place
                self._failed(error)
            else:
                self._succeeded(made, at)

    def _go_on(self, *_: int) -> None:
        if self._ending:
            raise _Ended

    def _failed(self, error: Exception) -> None:
        self._figures.count("oncue.backup.failures", 1)
        why = str(error) or type(error).__name__
        if why != self._failing:
            self._failing = why
            log.say(f"no backup was made: {why}. The run goes on, and tries again", "WARN")

    def _succeeded(self, made: Made, at: float) -> None:
        self._newest = at
        self._figures.observe("oncue.backup.duration", time.time() - at)
        self._figures.count("oncue.backup.sent", made.sent_bytes)
        if self._failing:
            self._failing = ""
            log.say(f"backups are made again, as of cut {made.cut}")

    def _points(self) -> Iterator[Point]:
        yield "oncue.backup.age", (), time.time() - self._newest
