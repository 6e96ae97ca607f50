"""What the command line and OpenTelemetry's variables ask for; what is not asked for is not even imported."""

import subprocess
import sys

import pytest

from flows.telemetry.settings import Exports, read
from tests.program import ROOT

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Exports()),
        (ENDPOINT, Exports(traces=True, metrics=True)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, Exports(traces=True)),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, Exports(metrics=True)),
        ({**ENDPOINT, "OTEL_METRICS_EXPORTER": "prometheus"}, Exports(traces=True)),
        ({"OTEL_METRICS_EXPORTER": "otlp, prometheus"}, Exports(metrics=True)),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, Exports()),
        ({**ENDPOINT, "OTEL_METRIC_EXPORT_INTERVAL": "1500"}, Exports(True, True, 1.5)),
    ],
)
def test_signals_are_exported_when_somebody_is_named_to_take_them(
    environment: dict[str, str], expected: Exports
) -> None:
    assert read(environment) == (expected, [])


def test_what_cannot_be_honoured_is_wrong_and_all_of_it_is_told() -> None:
    _, wrong = read(
        {
            **ENDPOINT, "OTEL_TRACES_EXPORTER": "otlp,jaeger", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_METRIC_EXPORT_INTERVAL": "0",
        }
    )  # fmt: skip
    assert [line.partition(":")[0] for line in wrong] == [
        "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_METRIC_EXPORT_INTERVAL=0", "OTEL_TRACES_EXPORTER=jaeger",
    ]  # fmt: skip


def test_a_run_without_telemetry_imports_none_of_it() -> None:
    heavy = ("opentelemetry", "prometheus_client.exposition", "http.server", "requests")
    code = f"import sys, flows.cli; print([it for it in {heavy!r} if it in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stderr
