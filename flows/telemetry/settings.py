"""What to tell whom: command line and OpenTelemetry's own environment variables, checked at the start."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from flows.telemetry.log import FORMATS
from schemas.mendable import Mendable

_EXPORTERS = {"traces": ("otlp", "none"), "metrics": ("otlp", "prometheus", "none")}


class BadTelemetry(Mendable, ValueError):
    """Settings that cannot be meant so; the message has all mistakes."""


class Exports(msgspec.Struct, frozen=True):
    """What is pushed to a collector. `interval`: seconds between two readings of the metrics."""

    traces: bool = False
    metrics: bool = False
    interval: float = 60.0


class Settings(msgspec.Struct, frozen=True):
    """Of one run. `port` None: no server. `within`, `stuck` in seconds, `stuck` 0: nobody watches."""

    port: int | None = None
    host: str = "127.0.0.1"
    within: float = 30.0
    stuck: float = 60.0
    log_format: str = "text"
    exports: Exports = Exports()
    worker: str = ""  # which of `--workers N`


def settings(port: int | None, host: str, within: float, stuck: float, log_format: str) -> Settings:
    """Raises BadTelemetry."""
    wrong = []
    if port is not None and not 0 <= port < 65536:
        wrong.append(f"--telemetry-port {port}: a port is 0 (any free one) to 65535")
    if within <= 0:
        wrong.append(f"--ready-within {within:g}: more than 0 seconds")
    if stuck < 0:
        wrong.append(f"--stuck-after {stuck:g}: seconds, or 0 to never end a stuck process")
    if log_format not in FORMATS:
        wrong.append(f"--log-format {log_format}: {' or '.join(FORMATS)}")
    exports, more = read(os.environ)
    if wrong + more:
        raise BadTelemetry("\n       ".join(wrong + more))
    return Settings(port, host, within, stuck, log_format, exports)


def read(environment: Mapping[str, str]) -> tuple[Exports, list[str]]:
    """What OTEL_* asks for, and what is wrong in it. A signal is exported when its exporter is `otlp`, or
    an endpoint is given and its exporter is not `none`.

    >>> read({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_METRICS_EXPORTER": "none"})
    (Exports(traces=True, metrics=False, interval=60.0), [])
    """
    wrong: list[str] = []
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Exports(), wrong
    wanted = {}
    for signal, known in _EXPORTERS.items():
        name = f"OTEL_{signal.upper()}_EXPORTER"
        chosen = {it.strip() for it in environment.get(name, "").split(",") if it.strip()}
        unknown = sorted(chosen - set(known))
        if unknown:
            wrong.append(f"{name}={','.join(unknown)}: oncue knows {', '.join(known)}")
        endpoint = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environment.get(
            f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
        )
        wanted[signal] = "otlp" in chosen or (bool(endpoint) and not chosen)
        for protocol in ("OTEL_EXPORTER_OTLP_PROTOCOL", f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"):
            given = environment.get(protocol, "")
            if wanted[signal] and given not in ("", "http/protobuf"):
                wrong.append(f"{protocol}={given}: oncue speaks http/protobuf, mostly on port 4318")
    every = environment.get("OTEL_METRIC_EXPORT_INTERVAL", "60000")
    if not every.isdigit() or not int(every):
        wrong.append(f"OTEL_METRIC_EXPORT_INTERVAL={every}: milliseconds, more than 0")
        every = "60000"
    return Exports(wanted["traces"], wanted["metrics"], int(every) / 1000), sorted(set(wrong))
