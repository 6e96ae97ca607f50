"""A scope to measure: its topics on a broker, its worker process, its input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flows import kafka, topics
from flows.playbooks import retail
from operators import playbook

SOURCES = ("web", "app", "pos")


class Scope:
    """A playbook under a name of its own, in `folder`, on the broker at `bootstrap`: the retail one unless
    `text` is another."""

    def __init__(
        self,
        folder: Path,
        bootstrap: str,
        name: str,
        engine: str = "",
        sources: int = 3,
        currency: str = "USD",
        text: str = "",
    ) -> None:
        self.folder = folder
        self.bootstrap = bootstrap
        self.config = folder / f"{name}.yaml"
        text = (text or retail()).replace("scope: shop", f"scope: {name}", 1).replace("  crm: {}\n", "")
        text = text.replace("currency: USD", f"currency: {currency}", 1)
        self.config.write_text(text + f"\nengine: {{{engine}}}\n")
        self.book = playbook.load(self.config.read_text())
        self.state = folder / f"state-{name}"
        self.inputs = [self.book.topics[source] for source in SOURCES[:sources]]
        self.timings = folder / f"{name}-timings.json"
        topics.create(self.book, bootstrap)

    def produce(self, records: Iterable[tuple[int, bytes, bytes]]) -> int:
        """Send (source, key, value) records as fast as the broker takes them."""
        producer = kafka.producer(
            self.bootstrap,
            **{"linger.ms": 20, "compression.type": "lz4", "queue.buffering.max.messages": 500_000},
        )
        count = 0
        for source, key, value in records:
            while True:
                try:
                    producer.produce(self.inputs[source], value, key)
                    break
                except BufferError:
                    producer.poll(0.1)
            count += 1
        producer.flush(120)
        return count

    def finish(self) -> None:
        topics.finish(self.book, self.bootstrap)

    def start(self, module: str = "flows.cli", workers: int = 1) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", module, "run", "--config", str(self.config), "--brokers",
             self.bootstrap, "--state", str(self.state), "--workers", str(workers)],
            env={**os.environ, "ONCUE_TIMINGS": str(self.timings)},
        )  # fmt: skip

    def run(self, timeout: float = 600) -> dict[str, Any]:
        """Run to the end of the input; the worker's own timings."""
        code = self.start().wait(timeout)
        if code:
            raise RuntimeError(f"the worker ended with exit code {code}")
        timings: dict[str, Any] = json.loads(self.timings.read_text())
        return timings
