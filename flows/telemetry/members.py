"""Supervisor and members: who serves where, who is ready, who has fallen silent."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import msgspec

from flows.telemetry import log
from flows.telemetry.figures import Figures
from flows.telemetry.settings import Settings
from flows.telemetry.watchdog import LOOKS
from flows.telemetry.watching import serve

_SETTINGS, _BEAT = "ONCUE_MEMBER_TELEMETRY", "ONCUE_MEMBER_BEAT"
STARTING = 120.0  # seconds until the first beat, of a process that a busy machine has to load

Child = subprocess.Popen[bytes]


def of_member() -> tuple[Settings, int]:
    """What the supervisor wants of this process, and the pipe on which it listens."""
    given = os.environ.get(_SETTINGS)
    if given is None:
        return Settings(), -1
    return msgspec.json.decode(given, type=Settings), int(os.environ[_BEAT])


class Members:
    """The supervisor's side. It serves for all on the one port: ready when every member is, and everybody's
    metrics, told apart by a label. Members serve on free ports of the loopback interface.

    A member that does not beat is paused or hangs with all its threads, or never began to work; it is killed.
    """

    def __init__(self, settings: Settings, scope: str, free_ports: Callable[[int], list[int]]) -> None:
        self._settings = settings
        self._scope = scope
        self._free_ports = free_ports
        self._numbers: Sequence[int] = ()
        self._ports: list[int] = []
        self._pipes: list[int] = []
        self._silent: list[int] = []
        self._figures = Figures()
        self._figures.watch(lambda: [("oncue.ready", (), 0 if self._why_not() else 1)])
        self._ends = ExitStack()
        if settings.port is not None:
            serve(settings, self._why_not, self._metrics, self._ends)

    def prepare(self, numbers: Sequence[int]) -> list[tuple[dict[str, str], int]]:
        """For each member what its environment must have besides, and the end of the pipe to pass on."""
        self._close_pipes()
        served = self._settings.port is not None
        self._numbers = numbers
        self._ports = self._free_ports(len(numbers)) if served else []
        found = []
        for index, number in enumerate(numbers):
            mine = msgspec.structs.replace(
                self._settings, worker=str(number), host="127.0.0.1",
                port=self._ports[index] if served else None,
            )  # fmt: skip
            listen, beat = os.pipe()
            os.set_blocking(listen, False)
            self._pipes.append(listen)
            self._silent.append(-round(STARTING / self.interval) if self.interval else 0)
            found.append(({_SETTINGS: msgspec.json.encode(mine).decode(), _BEAT: str(beat)}, beat))
        return found

    def listen(self, children: list[Child]) -> None:
        """To be called every `interval`: kills who has not beaten for twice as long as is not stuck yet."""
        for index, pipe in enumerate(self._pipes):
            self._silent[index] = 0 if _beats(pipe) else self._silent[index] + 1
            if self._silent[index] > 2 * LOOKS and children[index].poll() is None:
                log.say(
                    f"worker {self._numbers[index]} does not answer; it is killed, to be started again",
                    "ERROR",
                )
                children[index].send_signal(signal.SIGKILL)
                self._silent[index] = 0

    @property
    def interval(self) -> float:
        """Seconds, 0: nobody beats."""
        return self._settings.stuck / LOOKS

    def restarted(self, reason: str) -> None:
        self._figures.count("oncue.worker.restarts", 1, reason)

    def close(self) -> None:
        self._close_pipes()
        self._ends.close()

    def _close_pipes(self) -> None:
        for pipe in self._pipes:
            os.close(pipe)
        self._pipes, self._silent = [], []

    def _why_not(self) -> list[str]:
        from flows.telemetry.server import ask

        if not self._ports:
            return ["no worker has been started"]
        found = []
        for number, port in zip(self._numbers, self._ports, strict=True):
            status, body = ask(port, "/readyz")
            if status != 200:
                why = msgspec.json.decode(body)["why_not"] if status == 503 else [body]
                found += [f"worker {number}: {it}" for it in why]
        return found

    def _metrics(self) -> bytes:
        from flows.telemetry.exposition import expose, together
        from flows.telemetry.server import ask

        texts = {"": expose(self._figures.read(), self._scope).decode()}
        for number, port in zip(self._numbers, self._ports, strict=True):
            status, body = ask(port, "/metrics")
            if status == 200:
                texts[str(number)] = body
        return together(texts)


def _beats(pipe: int) -> bool:
    try:
        return bool(os.read(pipe, 4096))
    except BlockingIOError:
        return False
