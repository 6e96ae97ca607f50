"""Starting again without a person: when, and when not any more."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import NoReturn

from confluent_kafka import KafkaException

from flows import kafka
from flows.settings import Run
from flows.telemetry import log

QUICK = 10.0  # a run shorter than this, in seconds, counts towards a crash loop
MOST_QUICK = 5
_COUNT = "ONCUE_QUICK_ENDS"  # how a process tells the one that takes its place


def wait_for_broker(brokers: str, stop: threading.Event) -> bool:
    """Return once it answers, however long it is away; False when `stop` was set before."""
    client = kafka.consumer(brokers, "oncue-check")
    try:
        while not stop.is_set():
            try:
                client.list_topics(timeout=1)
                return True
            except KafkaException:
                stop.wait(0.5)
        return False
    finally:
        client.close()


class Restarts:
    """Counts quick ends in a row. `began`: the moment of the present start, monotonic."""

    def __init__(self, quick: int = 0) -> None:
        self.quick = quick
        self.began = time.monotonic()

    def pause(self) -> float | None:
        """After an end: seconds to wait before the next start, None to give up."""
        self.quick = self.quick + 1 if time.monotonic() - self.began < QUICK else 0
        return None if self.quick >= MOST_QUICK else min(10.0, 0.2 * 2**self.quick)


def restarts_so_far() -> Restarts:
    """Of the processes whose place this one has taken."""
    return Restarts(int(os.environ.pop(_COUNT, "0")))


def become_anew(run: Run, restarts: Restarts) -> NoReturn:
    """Become the same command anew; the process id stays."""
    os.environ[_COUNT] = str(restarts.quick)
    os.close(run.directory.lock_handle)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def after_interruption(run: Run, restarts: Restarts, code: int) -> int:
    """Start again once Kafka is there; the exit code when it should not."""
    pause = restarts.pause()
    if pause is None:
        log.say(f"{restarts.quick} ends like this in a row, giving up; the cause is above")
        return code
    if run.stop.wait(pause) or not wait_for_broker(run.brokers, run.stop):
        return code
    log.say("starting again")
    become_anew(run, restarts)
