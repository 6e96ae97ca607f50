"""Event to trigger under live load on the real broker, snapshots included, with one quiet partition."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench import traffic
from bench.clones import clone
from bench.live import Load, Watch, consents
from bench.scope import Scope
from state.store import checkpoints

PEOPLE = 20_000
ORIGINALS = 20_000  # customers that are made by events; all others are copies of them
PATIENCE = 180.0  # seconds until the first trigger
WARM = 8.0  # seconds at the start that do not count


def measure(
    folder: Path, bootstrap: str, rate: int, seconds: float, name: str = "latency", text: str = "",
    module: str = "flows.cli",
) -> dict[str, Any]:  # fmt: skip
    """Percentiles over `seconds` at `rate` events a second, and the pauses of the snapshots."""
    scope = Scope(folder, bootstrap, name, text=text)
    scope.produce(consents(PEOPLE))
    with Watch(scope) as watch, Load(scope, rate, PEOPLE, seconds + WARM + 30):
        worker = scope.start(module)
        time.sleep(WARM)
        since = time.time()
        time.sleep(seconds)
        found = watch.latencies(since)
        worker.send_signal(signal.SIGTERM)
        began = time.monotonic()
        code = worker.wait(60)
    timings = json.loads(scope.timings.read_text())
    return {
        "rate": rate,
        **found,
        "stop_s": round(time.monotonic() - began, 2),
        "exit_code": code,
        "cpu_share": round(timings["cpu_s"] / timings["wall_s"], 2),
        "snapshot_pause_ms": timings["pauses_ms"],
        "steps": timings["steps"],
    }


def populate(scope: Scope, people: int) -> dict[str, Any]:
    """Give the scope `people` customers, by one event each, and stop cleanly."""
    now = int(time.time() * 1000)
    step = 60_000 / people
    scope.produce(
        (person % 3, b"%d" % person, _first(person, int(now - 60_000 + person * step)))
        for person in range(people)
    )
    worker = scope.start()
    _until_idle(scope, people)
    worker.send_signal(signal.SIGTERM)
    worker.wait(120)
    timings: dict[str, Any] = json.loads(scope.timings.read_text())
    return timings


def recovery(folder: Path, bootstrap: str, people: int, rate: int = 2000) -> dict[str, Any]:
    """With `people` customers in the state: snapshot pauses, bytes that a checkpoint adds, and kill -9 to the
    first new trigger."""
    scope = Scope(folder, bootstrap, f"recovery-{people}")
    scope.produce(consents(5000))
    populate(scope, min(people, ORIGINALS))
    clone(scope.state / scope.book.scope, max(0, people // ORIGINALS - 1))
    with Watch(scope) as watch, Load(scope, rate, 5000, 120):
        worker = scope.start()
        if watch.first_after(time.time(), PATIENCE) is None:
            worker.kill()
            raise RuntimeError(f"no trigger within {PATIENCE:.0f} s")
        checkpoint = checkpoint_bytes(scope, 20)
        worker.kill()
        worker.wait()
        killed = time.time()
        worker = scope.start()
        took = watch.first_after(killed, PATIENCE)
        used = _processor_time(worker.pid)
        time.sleep(10)
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    timings = json.loads(scope.timings.read_text())
    return {
        "customers": people,
        "kill_to_first_new_trigger_s": None if took is None else round(took, 2),
        "of_that_worker_cpu_s": round(used, 2),
        "checkpoint_mb_per_epoch": checkpoint,
        "snapshot_pause_ms": timings["pauses_ms"],
        "resident_mb": timings["resident_mb"],
        "state_mb": round(sum(f.stat().st_size for f in scope.state.rglob("live/*")) / 1e6),
    }


def checkpoint_bytes(scope: Scope, seconds: float) -> list[float]:
    """MB of files that each epoch's checkpoints, of all steps together, added to those before."""
    root = scope.state / scope.book.scope
    seen: dict[str, int] = {}  # inode -> the epoch that it came with
    added: list[float] = []
    cut = -1
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        newest = max((at for at, _, _ in checkpoints(root / "resolve")), default=-1)
        if newest == cut:
            time.sleep(0.05)
            continue
        cut, new = newest, 0
        time.sleep(0.3)  # the shards follow
        for file in root.glob("*/ckpt-*/*"):
            with suppress(FileNotFoundError):
                about = file.stat()
                if seen.setdefault(str(about.st_ino), cut) == cut:
                    new += about.st_size
        added.append(round(new / 1e6, 2))
    return added[1:]


def _processor_time(pid: int) -> float:
    """Seconds, user and system, of a process that runs."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _first(person: int, at: int) -> bytes:
    dice_product = person * 7919 % 5000
    return (
        b'{"messageId":"p-%d","timestamp":"%s","anonymousId":"visitor-%d","type":"track",'
        b'"event":"Product Added",'
        b'"properties":{"cart_id":"cart-%d","product_id":"sku-%d","quantity":1,"price":19.90,"currency":"USD"}}'
        % (person, traffic.stamp(at), person, person, dice_product)
    )


def _until_idle(scope: Scope, least: int) -> None:
    """Wait until the worker has taken everything: the ledger's counts are in its timings only at the
    end, so look at how far its newest checkpoints' cuts have come."""
    last, same = -1, 0
    until = time.monotonic() + 900
    while time.monotonic() < until and same < 4:
        time.sleep(2)
        newest = _offset(scope)
        same = same + 1 if newest == last and newest >= least else 0
        last = newest


def _offset(scope: Scope) -> int:
    """Events released so far, added up from the order topic."""
    from flows import tail
    from operators.cuts import Cut, decode
    from schemas import topics

    return sum(
        record.events
        for record in map(decode, tail.values(scope.bootstrap, topics.order(scope.book.scope)))
        if isinstance(record, Cut)
    )
