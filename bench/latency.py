"""Event to trigger under live load on the real broker, snapshots included, with one quiet partition."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

from bench import traffic
from bench.live import Load, Watch, consents
from bench.scope import Scope

PEOPLE = 20_000
WARM = 8.0  # seconds at the start that do not count


def measure(
    folder: Path, bootstrap: str, rate: int, seconds: float, name: str = "latency", text: str = ""
) -> dict[str, Any]:
    """Percentiles over `seconds` at `rate` events a second, and the pauses of the snapshots."""
    scope = Scope(folder, bootstrap, name, text=text)
    scope.produce(consents(PEOPLE))
    with Watch(scope) as watch, Load(scope, rate, PEOPLE, seconds + WARM + 30):
        worker = scope.start()
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
    """With `people` customers in the state: snapshot pauses, and kill -9 to the first new trigger."""
    scope = Scope(folder, bootstrap, f"recovery-{people}")
    scope.produce(consents(5000))
    filled = populate(scope, people)
    with Watch(scope) as watch, Load(scope, rate, 5000, 120):
        worker = scope.start()
        if watch.first_after(time.time(), 60) is None:
            raise RuntimeError("no trigger within a minute")
        time.sleep(10)
        worker.kill()
        worker.wait()
        killed = time.time()
        worker = scope.start()
        took = watch.first_after(killed, 60)
        time.sleep(10)
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    timings = json.loads(scope.timings.read_text())
    return {
        "customers": people,
        "kill_to_first_new_trigger_s": None if took is None else round(took, 2),
        "snapshot_pause_ms": timings["pauses_ms"],
        "resident_mb": timings["resident_mb"],
        "resident_mb_while_filling": filled["resident_mb"],
        "state_mb": round(sum(f.stat().st_size for f in scope.state.rglob("live/*")) / 1e6),
    }


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
    from operators.order import Cut, decode
    from schemas import topics

    return sum(
        record.events
        for record in map(decode, tail.values(scope.bootstrap, topics.order(scope.book.scope)))
        if isinstance(record, Cut)
    )
