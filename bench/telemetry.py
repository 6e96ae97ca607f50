"""What telemetry costs: the same input worked off with it on and off, by turns, in CPU time.

A busy machine makes wall clocks and single runs worthless, so this takes the worker's own CPU time from its
first turn on, and of every variant the least of several rounds. `on` is everything at once: the port,
scraped every 5 s, OTLP metrics every 5 s and traces of the 1 % of the events that carry a sampled
`traceparent`, to a collector that throws all away. `--before CHECKOUT` adds the program of another checkout.

`python -m bench.telemetry --rounds 5 --events 60000`
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


def cost(scope: Scope, root: Path, options: list[str], more: dict[str, str], log: Path) -> float:
    """CPU seconds of one run from its first turn on."""
    with log.open("wb") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "run", "--config", str(scope.config), "--brokers",
             scope.bootstrap, "--state", str(scope.state), *options],
            cwd=root, stdout=out, stderr=out,
            env={**os.environ, "PYTHONPATH": str(root), "ONCUE_TIMINGS": str(scope.timings), **more},
        )  # fmt: skip
        scraped = time.monotonic()
        while worker.poll() is None:
            time.sleep(0.1)
            if options and time.monotonic() - scraped > EVERY:
                scraped = time.monotonic()
                found = re.search(r"http://\S+", log.read_text())
                with suppress(urllib.error.URLError, OSError):
                    urllib.request.urlopen(
                        f"{found[0] if found else 'http://none'}/metrics", timeout=30
                    ).read()
    if worker.returncode:
        raise RuntimeError(f"the worker ended with {worker.returncode}: {log.read_text()}")
    timings = json.loads(scope.timings.read_text())
    return float(timings["cpu_s"] - timings["start_cpu_s"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--people", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before", type=Path)
    asked = parser.parse_args()
    found: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="oncue-bench-") as folder,
        KafkaBroker() as broker,
        collector() as to,
    ):
        otlp = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": to, "OTEL_METRIC_EXPORT_INTERVAL": str(round(EVERY * 1000)),
        }  # fmt: skip
        variants: dict[str, tuple[Path, list[str], dict[str, str]]] = {
            "off": (ROOT, [], {}),
            "on": (ROOT, ["--telemetry-port", "0"], otlp),
        }
        if asked.before:
            variants["before"] = (asked.before, [], {})
        for number in range(asked.rounds):
            for name, (root, options, more) in variants.items():
                scope = Scope(Path(folder), broker.bootstrap, f"{name}-{number}", "idle: hold, epoch: 5s")
                produce(scope, asked.events, asked.people)
                scope.finish()
                took = cost(scope, root, options, more, Path(folder) / f"{name}-{number}.log")
                found.setdefault(name, []).append(round(took * 1e6 / asked.events, 2))
                print(json.dumps({"round": number, name: found[name][-1]}), file=sys.stderr, flush=True)
    least = {name: min(rounds) for name, rounds in found.items()}
    print(json.dumps({"cpu_us_per_event": found, "least": least}, indent=2))


if __name__ == "__main__":
    main()
