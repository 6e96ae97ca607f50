"""`make bench-full`: the whole job on a real broker; prints and writes bench/results/full.json."""

from __future__ import annotations

import argparse
import os
import platform
import re
import tempfile
from pathlib import Path
from typing import Any

from bench import floor, latency, results, throughput
from deploy.kafka.broker import KafkaBroker
from flows.playbooks import retail


def without_scores() -> str:
    """The retail playbook without what is foretold, the triggers that ask for it, and profiles: what its
    features, intent triggers and guards cost by themselves."""
    text = re.sub(r"(?ms)^(churn|intent|profiles):.*?(?=^[a-z])", "", retail())
    return re.sub(r"(?ms)^  (about_to_leave|churn_risk):.*?(?=^  \S|\Z)", "", text)


def measure(folder: Path, events: int, people: int, seconds: float, customers: list[int]) -> dict[str, Any]:
    with KafkaBroker() as broker:
        full = throughput.measure(folder, broker.bootstrap, events, people)
        unscored = throughput.measure(folder, broker.bootstrap, events, people, "unscored", without_scores())
        least = floor.measure(folder, broker.bootstrap, events, people)
        live = latency.measure(folder, broker.bootstrap, 5000, seconds)
        spine = (Path(__file__).parent / "spine.yaml").read_text()
        small = {
            "throughput": throughput.measure(folder, broker.bootstrap, events, people, "spine", spine),
            "latency": latency.measure(folder, broker.bootstrap, 5000, seconds, "spine-latency", spine),
        }
        recoveries = [latency.recovery(folder, broker.bootstrap, count) for count in customers]
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "events_per_s_per_core": full["events_per_s_per_core"],
        "p50_ms": live.get("p50_ms"),
        "p99_ms": live.get("p99_ms"),
        "p999_ms": live.get("p999_ms"),
        "floor_multiple": round(full["cpu_us_per_event"] / least["cpu_us_per_event"], 2),
        "breakdown_us": full["breakdown_us"],
        "throughput": full,
        "without_scores_and_profiles": unscored,
        "floor": least,
        "latency": live,
        "spine": small,
        "recovery": recoveries,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--customers", type=int, nargs="*", default=[100_000, 1_000_000])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="oncue-bench-") as folder:
        found = measure(Path(folder), asked.events, asked.people, asked.seconds, asked.customers)
    results.keep("full", found)


if __name__ == "__main__":
    main()
