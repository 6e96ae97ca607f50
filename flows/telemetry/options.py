"""Options of the commands that run for long; `settings` says what they mean."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.telemetry.log import FORMATS

TelemetryPort = Annotated[
    int | None,
    typer.Option(
        envvar="OTEL_EXPORTER_PROMETHEUS_PORT", help="Serve /livez, /readyz and /metrics here; 0: any port."
    ),
]
TelemetryHost = Annotated[
    str,
    typer.Option(
        envvar="OTEL_EXPORTER_PROMETHEUS_HOST", help="Address to serve on; 0.0.0.0 for probes from outside."
    ),
]
ReadyWithin = Annotated[
    float, typer.Option(help="Seconds that a process may be behind and still be ready.", metavar="SECONDS")
]
StuckAfter = Annotated[
    float,
    typer.Option(help="Seconds without progress after which a process ends; 0: never.", metavar="SECONDS"),
]
LogFormat = Annotated[str, typer.Option(envvar="ONCUE_LOG_FORMAT", help=" or ".join(FORMATS) + ".")]
