"""`make bench-replay FILE=online_retail.csv.gz`: replay against live; writes bench/results/replay.json.

On a real broker on this machine: a year of UCI Online Retail as one event a line (see
`bench/online_retail.py`), worked off from nothing; and made-up traffic, worked off live and then again in
both orders, for the speed and for what was decided differently. Times are of whole processes, from their
start to their end.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from bench import online_retail, results, traffic
from bench.scope import Scope
from deploy.kafka.broker import KafkaBroker
from flows import compare, plan
from flows.plan import EVENT_TIME, LIVE


def replay(scope: Scope, name: str, *more: str) -> tuple[float, float]:
    """Seconds that a replay of all there is took, and how many of processor time."""
    began, used = time.perf_counter(), processor()
    subprocess.run(
        [sys.executable, "-m", "flows.cli", "replay", "--config", str(scope.config), "--brokers",
         scope.bootstrap, "--state", str(scope.folder / name), *more],
        check=True,
    )  # fmt: skip
    return time.perf_counter() - began, processor() - used


def processor() -> float:
    """Seconds of processor time of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def retail(folder: Path, bootstrap: str, file: Path, workers: int, most: int | None) -> dict[str, Any]:
    scope = Scope(folder, bootstrap, "year", "idle: hold", currency="GBP")
    events = scope.produce(islice(online_retail.line_events(file), most))
    seconds, used = replay(scope, "year-replay", "--workers", str(workers), "--output", "none")
    return {"events": events, "seconds": round(seconds, 1), "cpu_s": round(used, 1), "workers": workers}


def against_live(folder: Path, bootstrap: str, count: int, people: int) -> dict[str, Any]:
    scope = Scope(folder, bootstrap, "traffic", "idle: hold")
    scope.produce(traffic.events(count, people))
    scope.finish()
    began, used = time.perf_counter(), processor()
    scope.run()
    found: dict[str, Any] = {
        "events": count,
        "live_events_per_s": round(count / (time.perf_counter() - began)),
        "live_cpu_us": round((processor() - used) * 1e6 / count, 1),
    }
    unexplained = 0
    for order in (EVENT_TIME, LIVE):
        seconds, used = replay(scope, order, "--order", order)
        found[f"{order}_events_per_s"] = round(count / seconds)
        found[f"{order}_cpu_us"] = round(used * 1e6 / count, 1)
        made = plan.read(folder / order / scope.book.scope)
        assert made is not None
        report = compare.compare(scope.book, bootstrap, made)
        found[f"{order}_differences"] = report.causes
        unexplained += report.unexplained
    return {**found, "unexplained": unexplained}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, required=True, help="UCI Online Retail as CSV, gzipped")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2, help="for Online Retail")
    parser.add_argument("--lines", type=int, help="of Online Retail; all of them unless given")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="oncue-bench-") as folder, KafkaBroker() as broker:
        year = retail(Path(folder), broker.bootstrap, asked.file, asked.workers, asked.lines)
        made_up = against_live(Path(folder), broker.bootstrap, asked.events, asked.people)
    found = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "unexplained_differences": made_up["unexplained"],
        "online_retail_s": year["seconds"],
        "ratio_to_live": round(made_up[f"{EVENT_TIME}_events_per_s"] / made_up["live_events_per_s"], 2),
        "online_retail": year,
        "traffic": made_up,
    }
    results.keep("replay", found)


if __name__ == "__main__":
    main()
