"""State as each format kept it: tests/data/state-format-N.tar.gz holds a backup of a small shop with a
history of events, and what was known of some of its customers then.

    python -m tests.state.kept

makes the one of the present format: to be run with the last program before a change of the format.
"""

from __future__ import annotations

import json
import signal
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.lookup import customer
from state import reading
from state.backup import backup
from state.migrations import FORMAT
from tests.brokers import RealBroker
from tests.crash import harness
from tests.crash.traffic import playbook, traffic
from tests.program import ROOT, until

EVENTS = 600
SOME = 12  # of so many customers one


class Shop(harness.Scope):
    def _write(self, epoch: str) -> None:
        self.config.write_text(f"{playbook(self.name, shards='2', epoch=epoch)}history: {{}}\n")


def file_of(number: int) -> Path:
    return ROOT / "tests" / "data" / f"state-format-{number}.tar.gz"


def told(root: Path) -> dict[str, Any]:
    """By customer id, what `oncue customer` says of some."""
    ids = [id for id, _ in everybody(root)][::SOME]
    return {id: json.loads(json.dumps(customer(root, id))) for id in ids}


def everybody(root: Path) -> Iterator[tuple[str, bytes]]:
    """Ids and records."""
    for folder in sorted(root.glob("shard-*")):
        with reading.newest(folder) as database:
            assert database is not None
            yield from ((key[1:].decode(), raw) for key, raw in reading.Table(database).scan(b"c", b"d"))


def make(folder: Path) -> None:
    """In `folder`, the backup and what was told."""
    with RealBroker() as broker, Shop(broker.bootstrap, folder) as shop:
        messages = traffic(EVENTS)
        shop.send(messages)
        run = shop.start()
        until(lambda: shop.worked_off() == EVENTS or not run.running, "all of it in the state", 120)
        run.signal(signal.SIGTERM)
        assert run.wait() == 0, run.said
        root = shop.state / shop.name
        backup(root, str(folder / "place"))
        (folder / "told.json").write_text(json.dumps(told(root)))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        make(Path(name))
        with tarfile.open(file_of(FORMAT), "w:gz") as archive:
            for part in ("place", "told.json"):
                archive.add(Path(name) / part, part)
