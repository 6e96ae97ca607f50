"""`make bench-replay FILE=online_retail.csv.gz`: replay against live; writes bench/results/replay.json.

On a real broker on this machine: a year of UCI Online Retail as one event a line (see
`bench/online_retail.py`), worked off from nothing; and made-up traffic, worked off live and then again in
both orders, for the speed and for what was decided differently. Times are of whole processes, from their
start to their end. `--memory EVENTS` measures only how much memory a replay of so many made-up events,
spread over `--days`, takes as it goes on.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
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
from flows import compare, plan, resume
from flows.plan import EVENT_TIME, LIVE
from state import points


def replay(scope: Scope, name: str, *more: str) -> tuple[float, float]:
    """Seconds that a replay of all there is took, and how many of processor time."""
    began, used = time.perf_counter(), processor()
    subprocess.run(
        [sys.executable, "-m", "flows.cli", "replay", "--config", str(scope.config), "--brokers",
         scope.bootstrap, "--state", str(scope.folder / name), *more],
        check=True,
    )  # fmt: skip
    return time.perf_counter() - began, processor() - used


def memory(
    folder: Path, bootstrap: str, count: int, people: int, days: float, config: Path | None
) -> dict[str, Any]:
    """Resident memory (MB) of a replay in event-time order, at each twentieth of its events."""
    text = config.read_text() if config is not None else ""
    scope = Scope(folder, bootstrap, "memory", "idle: hold", text=text)
    scope.produce(traffic.events(count, people, step=days * 86_400_000 / count))
    began, used = time.perf_counter(), processor()
    run = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "replay", "--config", str(scope.config), "--brokers",
         scope.bootstrap, "--state", str(folder / "replayed"), "--output", "none"],
    )  # fmt: skip
    root, inputs = folder / "replayed" / scope.book.scope, set(scope.book.inputs)
    curve: dict[int, float] = {}
    most = 0.0
    while run.poll() is None:
        time.sleep(0.2)
        known = points.read(root / "points", points.SEQUENCE) if (root / "points").exists() else []
        status = Path(f"/proc/{run.pid}/status").read_text() if run.poll() is None else ""
        resident = next((int(it.split()[1]) for it in status.splitlines() if it.startswith("VmRSS")), 0)
        most = max(most, resident / 1e3)
        if known and resident:
            offsets = resume.decode(known[-1][1]).offsets
            done = sum(at for name, at in offsets.items() if name.rpartition("/")[0] in inputs)
            curve.setdefault(round(20 * done / count) * count // 20, round(resident / 1e3))
    if run.returncode:
        raise RuntimeError(f"the replay ended with exit code {run.returncode}")
    return {
        "events": count,
        "people": people,
        "days": days,
        "config": config.name if config is not None else "retail",
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_us": round((processor() - used) * 1e6 / count, 1),
        "resident_mb": curve,
        "most_mb": round(most),
    }


def processor() -> float:
    """Seconds of processor time of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def retail(folder: Path, bootstrap: str, file: Path, workers: int, most: int | None) -> dict[str, Any]:
    scope = Scope(folder, bootstrap, "year", "idle: hold", currency="GBP")
    events = scope.produce(islice(online_retail.line_events(file), most))
    seconds, used = replay(scope, "year-replay", "--workers", str(workers), "--output", "none")
    return {"events": events, "seconds": round(seconds, 1), "cpu_s": round(used, 1), "workers": workers}


def against_live(folder: Path, bootstrap: str, count: int, people: int, times: int) -> dict[str, Any]:
    """The same traffic live and then again in both orders, `times` over, because the machine is faster in one
    minute than in the next."""
    turns = [turn(folder, bootstrap, f"traffic-{number}", count, people) for number in range(times)]
    ratios = [it["live"]["seconds"] / it["again"][EVENT_TIME]["seconds"] for it in turns]
    return {
        "events": count,
        "ratio": round(statistics.median(ratios), 2),
        "unexplained": sum(again["unexplained"] for it in turns for again in it["again"].values()),
        "turns": turns,
    }


def turn(folder: Path, bootstrap: str, name: str, count: int, people: int) -> dict[str, Any]:
    scope = Scope(folder, bootstrap, name, "idle: hold")
    scope.produce(traffic.events(count, people))
    scope.finish()
    began, used = time.perf_counter(), processor()
    scope.run()
    live = speed(count, time.perf_counter() - began, processor() - used)
    again = {}
    for order in (EVENT_TIME, LIVE):
        state = f"{name}-{order}"
        found = speed(count, *replay(scope, state, "--order", order))
        made = plan.read(folder / state / scope.book.scope)
        assert made is not None
        report = compare.compare(scope.book, bootstrap, made)
        again[order] = {**found, "differences": report.causes, "unexplained": report.unexplained}
    return {"live": live, "again": again}


def speed(count: int, seconds: float, used: float) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 2),
        "events_per_s": round(count / seconds),
        "cpu_us": round(used * 1e6 / count, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, help="UCI Online Retail as CSV, gzipped")
    parser.add_argument("--memory", type=int, metavar="EVENTS", help="only how much memory so many take")
    parser.add_argument("--days", type=float, default=365, help="for --memory")
    parser.add_argument("--config", type=Path, help="for --memory: another playbook than the retail one")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=3, help="against live; the ratio is the median")
    parser.add_argument("--workers", type=int, default=2, help="for Online Retail")
    parser.add_argument("--lines", type=int, help="of Online Retail; all of them unless given")
    asked = parser.parse_args()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    if asked.memory:
        with tempfile.TemporaryDirectory(prefix="oncue-bench-") as folder, KafkaBroker() as broker:
            found = memory(
                Path(folder), broker.bootstrap, asked.memory, asked.people, asked.days, asked.config
            )
        results.keep("replay-memory", {"machine": machine, **found})
        return
    if not asked.file:
        parser.error("--file or --memory")
    with tempfile.TemporaryDirectory(prefix="oncue-bench-") as folder, KafkaBroker() as broker:
        year = retail(Path(folder), broker.bootstrap, asked.file, asked.workers, asked.lines)
        made_up = against_live(Path(folder), broker.bootstrap, asked.events, asked.people, asked.times)
    found = {
        "machine": machine,
        "unexplained_differences": made_up["unexplained"],
        "online_retail_s": year["seconds"],
        "ratio_to_live": made_up["ratio"],
        "online_retail": year,
        "traffic": made_up,
    }
    results.keep("replay", found)


if __name__ == "__main__":
    main()
