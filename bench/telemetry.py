"""What telemetry costs: the same input worked off with and without it, side by side, in CPU time.

A busy machine makes wall clocks and single runs worthless: what else runs changes even the CPU time that
the same work takes. So all variants of a round run at the same time, what counts is the ratio of their CPU
times from the first turn on, and of that the median over the rounds. Snapshots are left out: how many there
are depends on the wall clock.

`metrics`: the port, scraped every 5 s, and OTLP metrics every 5 s. `traces`: that and traces of the 1 % of
the events that carry a sampled `traceparent`. The collector throws all away. `--before CHECKOUT` adds the
program of another checkout, which must have `start_cpu_s` in its timings.

`python -m bench.telemetry --rounds 7 --events 40000`
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench import traffic
from bench.scope import Scope
from deploy.kafka.broker import KafkaBroker
from flows import kafka

EVERY = 5.0  # seconds
FOLLOWED = 100  # one event in so many
ROOT = Path(__file__).parents[1]


class Sink(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collector() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def produce(scope: Scope, count: int, people: int) -> None:
    producer = kafka.producer(scope.bootstrap, **{"linger.ms": 20, "compression.type": "lz4"})
    for number, (source, key, value) in enumerate(traffic.events(count, people)):
        traced = [("traceparent", f"00-{number + 1:032x}-{number + 1:016x}-01")]
        while True:
            try:
                producer.produce(
                    scope.inputs[source], value, key, headers=traced if number % FOLLOWED == 0 else None
                )
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(120)


class Run:
    """One worker at work."""

    def __init__(self, scope: Scope, root: Path, options: list[str], more: dict[str, str], log: Path) -> None:
        self._scope, self._log, self._watched = scope, log, bool(options)
        self._scraped = time.monotonic()
        with log.open("wb") as out:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "flows.cli", "run", "--config", str(scope.config), "--brokers",
                 scope.bootstrap, "--state", str(scope.state), *options],
                cwd=root, stdout=out, stderr=out,
                env={**os.environ, "PYTHONPATH": str(root), "ONCUE_TIMINGS": str(scope.timings), **more},
            )  # fmt: skip

    def over(self) -> bool:
        if self._watched and time.monotonic() - self._scraped > EVERY:
            self._scraped = time.monotonic()
            found = re.search(r"http://\S+", self._log.read_text())
            if found is not None:
                with suppress(urllib.error.URLError, OSError):
                    urllib.request.urlopen(f"{found[0]}/metrics", timeout=30).read()
        return self._worker.poll() is not None

    def cost(self) -> float:
        """CPU seconds from the first turn on."""
        if self._worker.returncode:
            raise RuntimeError(f"the worker ended with {self._worker.returncode}: {self._log.read_text()}")
        timings = json.loads(self._scope.timings.read_text())
        return float(timings["cpu_s"] - timings["start_cpu_s"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--people", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--before", type=Path)
    asked = parser.parse_args()
    found: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="oncue-bench-") as folder,
        KafkaBroker() as broker,
        collector() as to,
    ):
        every = {"OTEL_METRIC_EXPORT_INTERVAL": str(round(EVERY * 1000)), "OTEL_EXPORTER_OTLP_ENDPOINT": to}
        port = ["--telemetry-port", "0"]
        variants: dict[str, tuple[Path, list[str], dict[str, str]]] = {
            "off": (ROOT, [], {}),
            "metrics": (ROOT, port, {**every, "OTEL_TRACES_EXPORTER": "none"}),
            "traces": (ROOT, port, every),
        }
        if asked.before:
            variants["before"] = (asked.before, [], {})
        for number in range(asked.rounds):
            scopes = {}
            for name in variants:
                scope = scopes[name] = Scope(
                    Path(folder), broker.bootstrap, f"{name}-{number}", "idle: hold, epoch: 1h"
                )
                produce(scope, asked.events, asked.people)
                scope.finish()
            names = list(variants)[number % len(variants) :] + list(variants)[: number % len(variants)]
            runs = {
                name: Run(scopes[name], *variants[name], Path(folder) / f"{name}-{number}.log")
                for name in names
            }
            while [run for run in runs.values() if not run.over()]:
                time.sleep(0.1)
            for name, run in runs.items():
                found.setdefault(name, []).append(run.cost() * 1e6 / asked.events)
            line = {name: round(costs[-1], 1) for name, costs in found.items()}
            print(json.dumps({"round": number, "cpu_us_per_event": line}), file=sys.stderr, flush=True)
    ratios = {
        name: sorted(round(it / off - 1, 4) for it, off in zip(costs, found["off"], strict=True))
        for name, costs in found.items()
    }
    print(
        json.dumps(
            {"more_than_off": ratios, "median": {k: v[len(v) // 2] for k, v in ratios.items()}}, indent=2
        )
    )


if __name__ == "__main__":
    main()
