"""One process of a run: checks what it starts on, runs the dataflow, and says why it ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import cluster_main, run_main

from flows import garbage, kafka, reach
from flows.copies import Copying
from flows.customer import topology
from flows.ending import TROUBLE, Ending, explain
from flows.kafka import KafkaTrouble
from flows.plan import FILE as REPLAY
from flows.resume import conclude
from flows.routing import BESIDE_SOURCE, worker_of
from flows.settings import Run
from flows.telemetry import log
from flows.telemetry.settings import Settings
from operators import playbook
from operators.compatible import differences, linking
from schemas import topics
from state.errors import StateError
from state.verify import history_folders

RECOVERY_PARTITIONS = 4
PATIENCE = 120.0  # seconds that a peer waits for the first one to make the state directory
# Exit codes, as those in flows/ending.py. After both the same command continues.
CLOCK_WENT_BACK = 75
AGAIN = 76  # ended cleanly, to be started again: an input topic has more partitions


def prepare(run: Run, peer: int | None = None) -> None:
    """Check broker, topics and state directory before anything starts; of several peers the first makes the
    directory. Raises KafkaTrouble, StateError."""
    client = kafka.consumer(run.brokers, "oncue-check")
    try:
        wanted = run.playbook.engine.partitions
        named = {code: run.output(code) for code in run.outputs}
        outputs = sorted(name for code, name in named.items() if not topics.OUTPUTS[code].single)
        inputs = run.inputs if run.plan is None else run.plan.read_topics
        counts = kafka.partitions(client, [*inputs, run.order, *sorted(named.values())], run.brokers)
        wrong = [f"{topic} has {counts[topic]}" for topic in outputs if counts[topic] != wanted]
        if wrong:
            raise KafkaTrouble(
                f"output topics need engine.partitions = {wanted} partitions each, but {', '.join(wrong)}"
            )
    finally:
        client.close()
    directory = run.directory
    if run.plan is None and (directory.root / REPLAY).exists():
        raise StateError(
            f"{directory.root} holds a replay, which must not write to the topics of {run.scope}. Make it "
            "live with: oncue promote, or give another --state"
        )
    if peer and not directory.await_made(PATIENCE):
        raise StateError(
            f"{directory.root} was not made within {PATIENCE:.0f} s, which peer 0 does: does it run, and is "
            "this the same volume?"
        )
    directory.open(run.fixed, prepare_recovery)
    directory.lock(peer)
    _check_identifiers(run)
    _check_history(run)
    reach.tell(run)


def _check_identifiers(run: Run) -> None:
    """Whether the identities that are kept are still right. Raises StateError."""
    made_with = run.directory.remembered()
    wrong = differences(linking(made_with), linking(run.text)) if made_with else []
    if wrong:
        raise StateError(
            f"the identities in {run.directory.root} were resolved with other identifiers: "
            f"{'; '.join(wrong)}. Use the old identifiers, or give the playbook another scope, whose topics "
            "and identities begin anew. Any other change of the playbook is fine"
        )


def _check_history(run: Run) -> None:
    """A history with a gap would say something wrong. Raises StateError."""
    kept = history_folders(run.directory.root)
    if kept and not run.playbook.history:
        raise StateError(
            f"{run.directory.root} holds a history, but the playbook has no section history any more: what "
            "happens now would be missing in it. Put the section back, or give the history up: delete "
            f"{kept[0].with_name('history-*')}"
        )


def prepare_recovery(folder: Path) -> None:
    init_db_dir(folder, RECOVERY_PARTITIONS)


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
    recovery = RecoveryConfig(str(run.directory.recovery))
    epoch = timedelta(milliseconds=run.playbook.times.epoch)
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
    with run.watching.on(run.scope, members == 1, beat):
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


def open_run(
    config: Path, brokers: str, state: Path, on_gap: str = "stop", telemetry: Settings | None = None,
    copying: Copying | None = None,
) -> Run:  # fmt: skip
    """A run of the playbook at `config`. Raises OSError, BadPlaybook."""
    text = config.read_text()
    telemetry = telemetry or Settings()
    run = Run(playbook.load(text, str(config)), text, brokers, state, on_gap, telemetry, copying)
    about = {"oncue.worker": telemetry.worker} if telemetry.worker else {}
    log.use(telemetry.log_format, **{"oncue.scope": run.scope}, **about)
    return run
