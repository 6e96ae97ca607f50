"""Kafka to Kafka, one worker process: events a second a core, and where each microsecond goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import traffic
from bench.scope import Scope


def measure(
    folder: Path, bootstrap: str, count: int, people: int, name: str = "throughput", text: str = ""
) -> dict[str, Any]:
    """Work off `count` events of `people` that lie ready. Times are the worker's, start to end."""
    scope = Scope(folder, bootstrap, name, "idle: hold, epoch: 5s", text=text)
    scope.produce(traffic.events(count, people))
    scope.finish()
    found = scope.run()
    steps = {name: row["s"] * 1e6 / count for name, row in found["steps"].items()}
    return {
        "events": count,
        "people": people,
        "events_per_s": round(count / found["wall_s"]),
        "events_per_s_per_core": round(count / max(found["cpu_s"], 1e-9)),
        "cpu_us_per_event": round(found["cpu_s"] * 1e6 / count, 2),
        "breakdown_us": {
            **{name: round(us, 2) for name, us in steps.items()},
            "everything else (Bytewax, Kafka clients, start)": round(
                found["cpu_s"] * 1e6 / count - sum(steps.values()), 2
            ),
        },
        "longest_ms": {name: round(row["longest_ms"], 1) for name, row in found["steps"].items()},
        "records_out": found["counts"].get("records out", 0),
        "cuts": found["counts"]["cuts"],
        "resident_mb": found["resident_mb"],
    }
