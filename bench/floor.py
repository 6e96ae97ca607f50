"""The floor: what any Python process must at least do with the same input, read it and decode it once."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import TopicPartition

from bench import traffic
from bench.scope import Scope
from flows import kafka
from schemas.inbound import Event


def measure(folder: Path, bootstrap: str, count: int, people: int) -> dict[str, Any]:
    """CPU per event of consuming and fully decoding `count` events, in a process of its own."""
    scope = Scope(folder, bootstrap, "floor")
    scope.produce(traffic.events(count, people))
    out = subprocess.run(
        [sys.executable, "-m", "bench.floor", bootstrap, str(count), *scope.inputs],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return {"events": count, "cpu_us_per_event": round(float(out.stdout) * 1e6 / count, 2)}


def _read(bootstrap: str, count: int, names: list[str]) -> float:
    client = kafka.consumer(bootstrap, "oncue-floor")
    places = [(name, p) for name, n in kafka.partitions(client, names, bootstrap).items() for p in range(n)]
    client.assign([TopicPartition(*place, 0) for place in places])
    decode = msgspec.json.Decoder(Event).decode
    while count > 0:
        for record in kafka.take(client, 1000):
            if record.error() is None:
                decode(record.value())
                count -= 1
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    print(_read(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
