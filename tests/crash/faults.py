"""What can happen to a run besides kill -9. Each leaves it running, or able to go on."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from tests.brokers import RealBroker
from tests.program import Program

FAULTS = ("processes_stopped", "broker_stopped", "broker_killed", "disk_full")
ROOM = 50_000  # bytes that a file may have when the disk is full


class Fault(NamedTuple):
    name: str
    do: Callable[[Program], None]


def faults(broker: RealBroker, stopped: float, away: float) -> Sequence[Fault]:
    """`stopped`: seconds that all processes stand still; `away`: seconds that the broker does."""

    def processes_stopped(run: Program) -> None:
        os.killpg(run.process.pid, signal.SIGSTOP)
        time.sleep(stopped)
        os.killpg(run.process.pid, signal.SIGCONT)

    def broker_stopped(_: Program) -> None:
        broker.pause()
        time.sleep(away)
        broker.resume()

    def broker_killed(_: Program) -> None:
        broker.kill()
        broker.restart()

    return [
        Fault(name, do)
        for name, do in zip(
            FAULTS, (processes_stopped, broker_stopped, broker_killed, disk_full), strict=True
        )
    ]


def disk_full(run: Program) -> None:
    """Until it ends, as it must when it has something to write; the next start has room again."""
    _room(run, ROOM)
    try:
        code = run.process.wait(30)
    except subprocess.TimeoutExpired:
        _room(run, resource.RLIM_INFINITY)
        return
    assert code == 2, f"exit code {code}: {run.said[-2000:]}"
    assert "Nothing is lost: make room" in run.said, run.said[-2000:]


def _room(run: Program, size: int) -> None:
    for process in (*run.members(), run.process.pid):
        with suppress(ProcessLookupError):
            resource.prlimit(process, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
