"""Metrics to an OpenTelemetry collector, pushed at an interval. Imported only where that is asked for.

The steps do not call OpenTelemetry's instruments: these cost 3 µs a call and more, and what they would add
up is added up already. It is handed to the exporter as the data that it takes.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as Histograms
from opentelemetry.sdk.metrics.export import Metric as Exported
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from flows.telemetry import log
from flows.telemetry.figures import Figures, Histogram, Reading
from flows.telemetry.table import BOUNDS, Metric

_CUMULATIVE = AggregationTemporality.CUMULATIVE
_SCOPE = InstrumentationScope("oncue")


class Push:
    """Sends what `figures` say every `interval` seconds and at the end. What cannot be sent is lost; the
    next reading has it, because everything is cumulative."""

    def __init__(self, figures: Figures, resource: Resource, interval: float) -> None:
        self._figures = figures
        self._resource = resource
        self._interval = interval
        self._exporter = OTLPMetricExporter()
        self._end = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join(3)
        self._exporter.shutdown(1000)

    def _run(self) -> None:
        while not self._end.wait(self._interval):
            self._send()
        self._send()

    def _send(self) -> None:
        data = as_data(self._figures.read(), self._resource, self._figures.began)
        failed = self._exporter.export(data, 10_000) is not MetricExportResult.SUCCESS
        if failed and not self._failing:
            log.say("the collector does not take metrics; the run goes on, later readings have them", "WARN")
        self._failing = failed


def as_data(reading: Reading, resource: Resource, began: float) -> MetricsData:
    start, now = int(began * 1e9), time.time_ns()
    metrics = [_exported(metric, values, start, now) for metric, values in reading]
    scope = ScopeMetrics(_SCOPE, metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _exported(metric: Metric, values: dict[tuple[str, ...], Any], start: int, now: int) -> Exported:
    points: Any = []
    for given, value in values.items():
        labels = dict(zip(metric.labels, given, strict=True))
        if isinstance(value, Histogram):
            points.append(
                HistogramDataPoint(
                    labels, start, now, sum(value.buckets), value.total, list(value.buckets), BOUNDS,
                    0.0, value.longest,
                )
            )  # fmt: skip
        else:
            points.append(NumberDataPoint(labels, start, now, value))
    data: Any
    if metric.kind == "histogram":
        data = Histograms(points, _CUMULATIVE)
    elif metric.kind == "counter":
        data = Sum(points, _CUMULATIVE, is_monotonic=True)
    else:
        data = Gauge(points)
    return Exported(metric.name, metric.meaning, metric.unit, data)
