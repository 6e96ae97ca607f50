"""What share of a worker's CPU time its telemetry takes, counted inside of one process.

Two runs beside each other differ by more than telemetry costs (`bench.telemetry`). So here every way into it
is timed by the clock of the thread that takes it: an answer to a scrape, a push to the collector, the export
of spans, and what the steps do for events that are followed. What comes with events is held against the CPU
time of the whole process from the first turn on; scrapes and pushes, which come with time, against the 5 s
between two of them: so much less a busy core has for events. The timing itself counts as telemetry. What
steps count for whoever asks is there with telemetry off, too; its share is the number of calls times what one
takes.

`python -m bench.watched --events 40000 --followed 100`
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import timeit
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.scope import Scope
from bench.telemetry import EVERY, ROOT, Run, collector, produce
from deploy.kafka.broker import KafkaBroker

OUT = "ONCUE_BENCH_WATCHED"


def inside() -> None:
    """`oncue` with a clock at every entrance to telemetry; seconds and calls by entrance in the file OUT."""
    import socketserver

    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    from flows import cli, steps, worker
    from flows.telemetry.otlp import Push
    from flows.telemetry.traces import Traces

    seconds: Counter[str] = Counter()
    calls: Counter[str] = Counter()

    def timed(what: str, owner: Any, name: str) -> None:
        method: Callable[..., Any] = getattr(owner, name)

        def around(*given: Any, **more: Any) -> Any:
            began = time.thread_time()
            try:
                return method(*given, **more)
            finally:
                seconds[what] += time.thread_time() - began
                calls[what] += 1

        setattr(owner, name, around)

    timed("scrapes", socketserver.ThreadingMixIn, "process_request_thread")
    timed("pushes", Push, "_send")
    timed("exports of spans", OTLPSpanExporter, "export")
    for name in ("incoming", "received", "sent"):
        timed("followed events", Traces, name)
    for name in ("followed", "told"):
        timed("followed events", steps, name)
    timings = worker.Run.__post_init__

    def ready(run: Any) -> None:
        timings(run)
        write = run.timings.write

        def last() -> None:
            write()
            Path(os.environ[OUT]).write_text(json.dumps({"seconds": seconds, "calls": calls}))

        run.timings.write = last

    worker.Run.__post_init__ = ready  # type: ignore[method-assign]
    cli.main()


def counting() -> float:
    """Seconds that a call of a step takes to be counted."""
    from flows.timings import Timings

    it = Timings()
    return min(timeit.repeat(lambda: it.add("x", it.begin("x")), number=20_000, repeat=5)) / 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--people", type=int, default=5_000)
    parser.add_argument("--followed", type=int, default=100)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="oncue-bench-") as name,
        KafkaBroker() as broker,
        collector() as to,
    ):
        folder = Path(name)
        scope = Scope(folder, broker.bootstrap, "watched", "idle: hold, epoch: 1h")
        produce(scope, asked.events, asked.people, asked.followed)
        scope.finish()
        out = folder / "watched.json"
        more = {
            "OTEL_METRIC_EXPORT_INTERVAL": str(round(EVERY * 1000)), "OTEL_EXPORTER_OTLP_ENDPOINT": to,
            OUT: str(out),
        }  # fmt: skip
        run = Run(scope, ROOT, ["--telemetry-port", "0"], more, folder / "log", "bench.watched")
        while not run.over():
            time.sleep(0.1)
        cost, found = run.cost(), json.loads(out.read_text())
        steps = json.loads(scope.timings.read_text())["steps"]
    seconds, calls = found["seconds"], found["calls"]
    calls["counting"] = sum(row["calls"] for row in steps.values())
    seconds["counting"] = counting() * calls["counting"]
    timely = ("scrapes", "pushes")
    percent = {
        what: 100 * (s / calls[what] / EVERY if what in timely else s / cost) for what, s in seconds.items()
    }
    found = {
        "cpu_us_per_event": round(cost * 1e6 / asked.events, 1),
        "us_a_call": {what: round(s * 1e6 / calls[what], 1) for what, s in seconds.items()},
        "calls": calls,
        "percent": {what: round(share, 2) for what, share in percent.items()},
        "together_percent": round(sum(percent.values()), 2),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    inside() if OUT in os.environ else main()
