"""The whole job with and without exactly-once output, with one worker and with two: processor time an event,
and, for the first two, latency. `python -m bench.variants` writes bench/results/variants.json.

Rounds are interleaved, so that a machine that others use is as slow to one as to the other.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import latency, results, traffic
from bench.scope import Scope
from deploy.kafka.broker import KafkaBroker

PLAIN, EXACT = "bench.plain", "flows.cli"
VARIANTS = {"plain": (PLAIN, 1), "exactly once": (EXACT, 1), "exactly once, two workers": (EXACT, 2)}


def throughput(folder: Path, bootstrap: str, turn: int, count: int, people: int) -> dict[str, Any]:
    """By variant: µs of CPU an event, of all its processes; events a second by the clock."""
    found = {}
    for number, (name, (module, workers)) in enumerate(VARIANTS.items()):
        scope = Scope(folder, bootstrap, f"variant-{turn}-{number}", "idle: hold, epoch: 5s")
        scope.produce(traffic.events(count, people))
        scope.finish()
        began = time.monotonic()
        _, status, used = os.wait4(scope.start(module, workers).pid, 0)
        if status:
            raise RuntimeError(f"{name} ended with status {status}")
        found[name] = {
            "cpu_us_per_event": round((used.ru_utime + used.ru_stime) * 1e6 / count, 1),
            "events_per_s": round(count / (time.monotonic() - began)),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=2_000, help="events/s while latency is measured")
    parser.add_argument("--seconds", type=float, default=30)
    asked = parser.parse_args()
    rounds, latencies = [], []
    with tempfile.TemporaryDirectory(prefix="oncue-bench-") as folder, KafkaBroker() as broker:
        for turn in range(asked.rounds):
            rounds.append(throughput(Path(folder), broker.bootstrap, turn, asked.events, asked.people))
            print(rounds[-1], flush=True)
        for turn in range(asked.rounds):
            for module in (PLAIN, EXACT):
                name = f"latency-{turn}-{module[0]}"
                with tempfile.TemporaryDirectory(prefix="oncue-bench-") as own:
                    measured = latency.measure(
                        Path(own), broker.bootstrap, asked.rate, asked.seconds, name, module=module
                    )
                latencies.append({"module": module, **measured})
                print(latencies[-1], flush=True)
    results.keep("variants", {"throughput": rounds, "latency": latencies})


if __name__ == "__main__":
    main()
