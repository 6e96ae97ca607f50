"""Ends a process whose dataflow is stuck, so that it is started again.

Idle is not stuck: an idle dataflow takes turns and finds nothing. A thread looks whether the same call goes
on for too long. If the interpreter itself stands still (a native call that keeps its lock), that thread does
too; then a timer of `faulthandler`, which needs no interpreter, prints the stacks and ends the process. So
does a process end that was paused, all of it, when it goes on after as long.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import traceback

from flows.telemetry import log
from flows.telemetry.health import where_stuck
from flows.timings import Timings

STUCK = 70  # exit code, EX_SOFTWARE
LOOKS = 10  # in the time after which a dataflow is stuck


class Watchdog:
    """`bound` in seconds; `alone`: this process is the whole dataflow. `beat`: the writing end of a pipe on
    which a supervisor listens, or -1."""

    def __init__(self, timings: Timings, bound: float, alone: bool, beat: int = -1) -> None:
        self._timings = timings
        self._bound = bound
        self._alone = alone
        self._beat = beat
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        if self._bound > 0:
            self._tell()  # from here on, whatever happens, the supervisor misses what does not come
            self._thread.start()

    def stop(self) -> None:
        if self._bound > 0:
            self._end.set()
            self._thread.join()
            faulthandler.cancel_dump_traceback_later()

    def _run(self) -> None:
        timings, looks, before = self._timings, 0, 0.0
        while not self._end.wait(self._bound / LOOKS):
            faulthandler.dump_traceback_later(1.5 * self._bound, exit=True)
            self._tell()
            since, where = timings.since, where_stuck(timings, self._alone)
            looks = looks + 1 if where and since == before else 0
            before = since
            if looks > LOOKS:
                self._give_up(where)

    def _tell(self) -> None:
        if self._beat >= 0:
            os.write(self._beat, b".")

    def _give_up(self, where: str) -> None:
        frame = sys._current_frames().get(self._timings.thread)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        text = f"no progress for {self._bound:g} s {where}; this process ends to be started again"
        if log.format_used() == "json":
            log.say(text, "ERROR", **{"code.stacktrace": stack})
        else:
            log.say(f"{text}. It is here:\n{stack}", "ERROR")
        os._exit(STUCK)
