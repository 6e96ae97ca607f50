"""Working off six hours of backlog: `python -m bench.catchup --units 200` prints JSON.

The rates are 1000:100:10, see bench/backlog.py; a unit is 1,110 events. Peak memory of twice as much
should be about the same.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import backlog, results
from bench.scope import Scope
from deploy.kafka.broker import KafkaBroker
from flows import tail
from schemas import topics


def measure(folder: Path, bootstrap: str, units: int) -> dict[str, Any]:
    scope = Scope(folder, bootstrap, f"catchup{units}", "idle: hold, epoch: 1s, alignment: 5m")
    count = scope.produce((source, b"%d" % source, value) for source, _, value in backlog.events(units))
    scope.finish()
    began = time.monotonic()
    _, status, used = os.wait4(scope.start().pid, 0)
    if status:
        raise RuntimeError(f"the worker ended with status {status}")
    seconds = time.monotonic() - began
    wanted = backlog.abandoned(units)
    found = {
        trigger["body"]["key"]: trigger["body"]["decided_at"]
        for trigger in tail.follow(
            bootstrap, [topics.output(scope.book.scope, topics.TRIGGERS)], until_end=True
        )
        if trigger["body"]["rule"] == "cart_abandoned"
    }
    return {
        "events": count,
        "events_per_s": round(count / seconds),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss / 1024),
        "triggers": len(found),
        "missing": len(wanted.keys() - found.keys()),
        "false": len(found.keys() - wanted.keys()),
        "early_or_late": sum(found[key] != wanted[key] for key in wanted.keys() & found.keys()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", type=int, nargs="*", default=[100, 200, 400])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="oncue-bench-") as folder, KafkaBroker() as broker:
        found = [measure(Path(folder), broker.bootstrap, units) for units in asked.units]
    results.keep("catchup", {"runs": found})


if __name__ == "__main__":
    main()
