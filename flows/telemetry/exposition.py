"""Figures in Prometheus' text format, and the members' expositions as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from flows.telemetry.figures import Histogram, Reading
from flows.telemetry.table import BOUNDS, Metric, label, prometheus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_EDGES = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]


def expose(reading: Reading, scope: str) -> bytes:
    return _text(_family(metric, values, scope) for metric, values in reading)


def _family(metric: Metric, values: dict[tuple[str, ...], Any], scope: str) -> Family:
    name = prometheus(metric)
    family = Family(name.removesuffix("_total"), metric.meaning, metric.kind)
    names = [label(it) for it in metric.labels]
    for given, value in values.items():
        labels = {"oncue_scope": scope, **dict(zip(names, given, strict=True))}
        if isinstance(value, Histogram):
            counted = list(accumulate(value.buckets))
            for edge, count in zip(_EDGES, counted, strict=True):
                family.add_sample(f"{name}_bucket", {**labels, "le": edge}, count)
            family.add_sample(f"{name}_sum", labels, value.total)
            family.add_sample(f"{name}_count", labels, counted[-1])
        else:
            family.add_sample(name, labels, value)
    return family


def together(texts: dict[str, str]) -> bytes:
    """Expositions of several workers as one; each sample says by `oncue_worker` whose it is."""
    families: dict[str, Family] = {}
    for worker, text in texts.items():
        for it in text_string_to_metric_families(text):
            family = families.setdefault(it.name, Family(it.name, it.documentation, it.type))
            mine = {"oncue_worker": worker} if worker else {}
            for sample in it.samples:
                family.add_sample(sample.name, {**sample.labels, **mine}, sample.value)
    return _text(families.values())


class _Collector:
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Family]:
        yield from self._families


def _text(families: Iterable[Family]) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(list(families)))
    return bytes(generate_latest(registry))
