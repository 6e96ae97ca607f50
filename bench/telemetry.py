"""What telemetry costs: the same input worked off with and without it, side by side, in CPU time.

A busy machine makes wall clocks and single runs worthless: what else runs changes even the CPU time that
the same work takes. So each variant runs at the same time as one without telemetry, what counts is the
ratio of their CPU times from the first turn on, and of that the median over the rounds, with the interval
that holds the true median in 95 of 100 cases, however the ratios are distributed. Snapshots are left out:
how many there are depends on the wall clock.

`metrics`: the port, scraped every 5 s, and OTLP metrics every 5 s. `traces`: that and traces of the 1 % of
the events that carry a sampled `traceparent` (`--followed N`: one in N). The collector throws all away.
`--before CHECKOUT` adds the program of another checkout, which must have `start_cpu_s` in its timings.

`python -m bench.telemetry --rounds 15 --events 30000`
"""

from __future__ import annotations

import argparse
import json
import math
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


def produce(scope: Scope, count: int, people: int, followed: int) -> None:
    producer = kafka.producer(scope.bootstrap, **{"linger.ms": 20, "compression.type": "lz4"})
    for number, (source, key, value) in enumerate(traffic.events(count, people)):
        traced = [("traceparent", f"00-{number + 1:032x}-{number + 1:016x}-01")]
        while True:
            try:
                producer.produce(
                    scope.inputs[source], value, key, headers=traced if number % followed == 0 else None
                )
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(120)


class Run:
    """One worker at work."""

    def __init__(
        self, scope: Scope, root: Path, options: list[str], more: dict[str, str], log: Path,
        module: str = "flows.cli",
    ) -> None:  # fmt: skip
        self._scope, self._log, self._watched = scope, log, bool(options)
        self._scraped = time.monotonic()
        with log.open("wb") as out:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", module, "run", "--config", str(scope.config), "--brokers",
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


def median(ratios: list[float]) -> dict[str, float]:
    """Of the ratios, in percent more than 1, with its 95 % interval: order statistics, for which each ratio
    is above the true median or below it like a coin."""
    found = sorted(100 * (ratio - 1) for ratio in ratios)
    count, edge, chance = len(found), 0, 0.0
    while (chance := chance + math.comb(count, edge) / 2**count) <= 0.025:
        edge += 1
    edge = max(0, edge - 1)
    middle = (found[(count - 1) // 2] + found[count // 2]) / 2
    return {
        "median": round(middle, 2), "from": round(found[edge], 2), "to": round(found[-1 - edge], 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--people", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--followed", type=int, default=100)
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
            for variant in list(variants)[1:]:
                pair = ["off", variant] if number % 2 else [variant, "off"]
                runs = {}
                for name in pair:
                    scope = Scope(
                        Path(folder), broker.bootstrap, f"{name}-{variant}-{number}", "idle: hold, epoch: 1h"
                    )
                    produce(scope, asked.events, asked.people, asked.followed)
                    scope.finish()
                    runs[name] = scope
                log = {name: Path(folder) / f"{name}-{variant}-{number}.log" for name in pair}
                started = {name: Run(runs[name], *variants[name], log[name]) for name in pair}
                while [run for run in started.values() if not run.over()]:
                    time.sleep(0.1)
                costs = {name: run.cost() * 1e6 / asked.events for name, run in started.items()}
                found.setdefault(variant, []).append(costs[variant] / costs["off"])
                line = {name: round(cost, 1) for name, cost in costs.items()}
                print(json.dumps({"round": number, "cpu_us_per_event": line}), file=sys.stderr, flush=True)
    more = {name: {**median(ratios), "rounds": len(ratios)} for name, ratios in found.items()}
    print(json.dumps({"percent_more_than_off": more}, indent=2))


if __name__ == "__main__":
    main()
