"""Everything that watches a process, started and ended together."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from flows.telemetry import log, process
from flows.telemetry.figures import Figures
from flows.telemetry.health import Health
from flows.telemetry.settings import BadTelemetry, Settings
from flows.telemetry.watchdog import Watchdog
from flows.timings import Timings

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from flows.telemetry.traces import Traces


class Watching:
    """Of one process: what its parts count with, ask and are asked. `traces` is there while traces are
    exported."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.figures = Figures()
        self.timings = Timings()
        self.health = Health(self.settings.within, self.timings)
        self.traces: Traces | None = None
        for reader in (self.timings.points, self.health.points, process.points):
            self.figures.watch(reader)

    @contextmanager
    def on(self, scope: str, alone: bool = True, beat: int = -1) -> Iterator[None]:
        """Export, serve and watch for as long as the `with` block lasts. Raises BadTelemetry when the port
        cannot be had. `beat`: see `Watchdog`."""
        it = self.settings
        with ExitStack() as ends:
            if it.exports.traces or it.exports.metrics:
                from flows.telemetry import relay

                relay.use("opentelemetry")
                resource = _resource(scope, it.worker)
                if it.exports.traces:
                    from flows.telemetry.traces import Traces

                    self.traces = Traces(resource)
                    ends.callback(self.traces.close)
                if it.exports.metrics:
                    from flows.telemetry.otlp import Push

                    ends.callback(Push(self.figures, resource, it.exports.interval).close)
            if it.port is not None:
                serve(it, self.health.why_not, lambda: _exposed(self.figures, scope), ends)
            watchdog = Watchdog(self.timings, it.stuck, alone, beat)
            watchdog.start()
            ends.callback(watchdog.stop)
            yield


def serve(
    it: Settings, why_not: Callable[[], list[str]], metrics: Callable[[], bytes], ends: ExitStack
) -> None:
    from flows.telemetry import exposition  # noqa: F401, not only when the first question comes
    from flows.telemetry.server import Server

    assert it.port is not None
    try:
        server = Server(it.host, it.port, why_not, metrics)
    except OSError as error:
        raise BadTelemetry(
            f"cannot serve on {it.host}:{it.port}: {error.strerror}. Choose another --telemetry-port or "
            "--telemetry-host"
        ) from None
    ends.callback(server.close)
    if not it.worker:
        log.say(f"health and metrics on http://{it.host}:{server.port}")


def _exposed(figures: Figures, scope: str) -> bytes:
    from flows.telemetry.exposition import expose

    return expose(figures.read(), scope)


def _resource(scope: str, worker: str) -> Resource:
    from importlib.metadata import version

    from opentelemetry.sdk.resources import Resource

    name = f"{socket.gethostname()}-{worker or os.getpid()}"
    about = {"service.version": version("oncue"), "service.instance.id": name, "oncue.scope": scope}
    if "OTEL_SERVICE_NAME" not in os.environ:
        about["service.name"] = "oncue"
    if worker:
        about["oncue.worker"] = worker
    return Resource.create(about)
