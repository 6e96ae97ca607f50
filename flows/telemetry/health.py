"""Is this process ready, and is it stuck? Asked by probes, answered from what the dataflow notes anyway."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from flows.telemetry.figures import Point
from flows.timings import Timings

Check = Callable[[], str]


class Health:
    """`why_not()` gives the reasons for which the process is not ready; none: it is.

    A process is ready when the state it works on is open and the newest record that is in the order came
    at most `within` seconds ago, unless none waits. Parts of the dataflow add their own checks: functions
    that return a reason or "". They are called from another thread.
    """

    def __init__(self, within: float = 30.0, timings: Timings | None = None) -> None:
        self.within = within
        self._timings = timings or Timings()
        self.started = False
        self.wanted: frozenset[str] = frozenset()  # the stores that this process will open
        self.opened: set[str] = set()
        self._checks: dict[str, Check] = {}

    def check(self, name: str, check: Check) -> None:
        self._checks[name] = check

    def drop(self, name: str) -> None:
        self._checks.pop(name, None)

    def why_not(self) -> list[str]:
        if not self.started:
            return ["the dataflow has not started"]
        found = [why for check in list(self._checks.values()) if (why := check())]
        timings = self._timings
        lasts = time.perf_counter() - timings.since
        if (timings.doing or timings.awaits) and lasts > self.within:
            what = f"waiting for {timings.awaits}" if timings.awaits else f"in {timings.doing}"
            found.append(f"{what} for {lasts:.0f} s")
        # A store opens on its first cut, and a cut reaches all: before the first there is nothing to open.
        missing = sorted(self.wanted - self.opened) if self.opened else []
        if missing:
            found.append(f"state not open yet: {', '.join(missing)}")
        return found

    def points(self) -> Iterator[Point]:
        """For `Figures.watch`."""
        yield "oncue.ready", (), 0 if self.why_not() else 1


def where_stuck(timings: Timings, alone: bool) -> str:
    """What the dataflow is in since `timings.since`, if it may be called stuck when that takes too long.

    Waiting for the broker is not: a restart would not bring it back. Between calls it is the engine's turn;
    in a cluster that waits for other processes, only `alone` it must come back at once.
    """
    if not timings.since or timings.awaits:
        return ""
    if timings.doing:
        return f"in {timings.doing}"
    return "in the engine, between two calls" if alone else ""
