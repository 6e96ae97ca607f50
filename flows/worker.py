"""One process of a run: runs the dataflow, and says why it ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import NoReturn

from bytewax.recovery import RecoveryConfig
from bytewax.testing import cluster_main, run_main

from flows import garbage, hugepages
from flows.customer import topology
from flows.ending import AGAIN, CLOCK_WENT_BACK, TROUBLE, Ending, explain
from flows.resume import conclude
from flows.routing import BESIDE_SOURCE, worker_of
from flows.settings import Run
from flows.telemetry import log


def work(
    run: Run,
    addresses: list[str] | None = None,
    index: int = 0,
    anew: Callable[[], NoReturn] = lambda: os._exit(CLOCK_WENT_BACK),
    beat: int = -1,
) -> int:
    """Run until the input ends or SIGTERM comes; the exit code. `anew` is what to do when the clock of the
    machine went back: Bytewax waits on it and would stand still. `beat`: see `Watchdog`."""
    signal.signal(signal.SIGTERM, lambda *_: run.stop.set())
    signal.signal(signal.SIGINT, lambda *_: run.stop.set())
    threading.Thread(target=_watch_the_clock, args=(anew,), daemon=True).start()
    garbage.look_rarely()
    hugepages.follow()
    recovery = RecoveryConfig(str(run.directory.recovery))
    epoch = timedelta(milliseconds=run.epoch)
    flow = topology(run)
    members = len(addresses) if addresses else 1
    health = run.watching.health
    health.wanted = _stores(run, members, index)
    if worker_of(BESIDE_SOURCE, members) == index:
        health.check("order", lambda: "the order is not open yet")  # until the sequencer has its own
    for rule in run.playbook.rules:
        run.watching.figures.count("oncue.triggers", 0, rule)  # seen before the first goes out
    ending = Ending()
    run.failing = ending.tell
    with run.watching.on(run.shown, members == 1, beat):
        try:
            if addresses is None or members == 1:
                run_main(flow, epoch_interval=epoch, recovery_config=recovery)
            else:
                cluster_main(flow, addresses, index, epoch_interval=epoch, recovery_config=recovery)
        except BaseException as error:
            ending.close()
            return explain(run.directory.trouble() or error) if ending.code is None else ending.code
        finally:
            run.timings.write()
            if run.copies is not None:
                run.copies.close()
    conclude(run)
    if run.others and not run.stop.is_set():
        log.say(
            f"all cuts of this playbook are repeated; the next {run.others} were made with another one. "
            "Start with that, it goes on from here",
            "ERROR",
        )
        return TROUBLE
    return AGAIN if run.again and not run.stop.is_set() else 0


def _stores(run: Run, members: int, index: int) -> frozenset[str]:
    """What this process will open."""
    keys = {"resolve": BESIDE_SOURCE}
    keys |= {f"shard-{i:02d}": key for i, key in enumerate(run.shard_keys)}
    keys |= {f"history-{i:02d}": key for i, key in enumerate(run.history_keys)}
    return frozenset(name for name, key in keys.items() if worker_of(key, members) == index)


def _watch_the_clock(anew: Callable[[], NoReturn]) -> None:
    ahead = time.time() - time.monotonic()
    while True:
        time.sleep(1)
        now = time.time() - time.monotonic()
        if now < ahead - 5:
            log.say(f"the clock went back {ahead - now:.0f} s; this process starts again", "WARN")
            anew()
        ahead = now
