"""`oncue` as a process of its own, started as its users start it, and waiting for what it does."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PATIENCE = 120.0  # seconds that anything may take, on a machine that has four times as much to do as here

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Poll until it is true; what it gave. Raises AssertionError when it takes too long."""
    began = time.monotonic()
    pause = 0.01
    while not (found := condition()):
        assert time.monotonic() < began + seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(pause)
        pause = min(0.1, pause * 1.2)  # asking costs what is waited for its processor
    return found


class Program:
    """One `oncue` process. `said` is what it wrote so far, to either stream. It has a group of its own, so
    that `end` takes workers along with their supervisor. `first` is what it does before anything else; `env`
    is added to the environment; `module` is what is run."""

    def __init__(
        self,
        log: Path,
        *arguments: object,
        first: Callable[[], None] | None = None,
        env: Mapping[str, str] | None = None,
        module: str = "flows.cli",
    ) -> None:
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *map(str, arguments)],
                cwd=ROOT, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, "RUST_BACKTRACE": "0", "PYTHONFAULTHANDLER": "1", **(env or {})},
                preexec_fn=lambda: (_die_with_parent(), first and first()),
            )  # fmt: skip

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def members(self) -> list[int]:
        """Process ids of its workers, when it supervises some."""
        try:
            found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        except FileNotFoundError:
            return []
        return [int(child) for child in found.split()]

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code. Raises AssertionError with what it said when it does not end in time."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {seconds:.0f} s; it said: {self.autopsy()}") from None

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self, seconds: float = PATIENCE) -> int:
        """SIGTERM; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def autopsy(self) -> str:
        """End it so that it tells where its threads are; what it said last."""
        for process in (*self.members(), self.process.pid):
            os.kill(process, signal.SIGABRT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        return self.said[-4000:]

    def end(self) -> None:
        """Kill what is left of it, its children included."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def _die_with_parent() -> None:
    """Killed tests leave nothing behind. Workers follow their supervisor by themselves."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
