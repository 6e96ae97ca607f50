"""Which partitions may stop holding time back: the broker has just said that nothing more is there."""

from __future__ import annotations

import time

from flows.kafka import Place
from flows.orderlog import OrderLog
from flows.probe import Probe
from flows.settings import Run
from operators.order import Front

SLACK = 100  # ms of event time that a partition may lag before it is asked about
PROBE_EVERY = 0.05  # seconds between questions


class Idleness:
    """Of the inputs of `front`, which are at `inputs`. `log` has the broker's time, which the watermark of a
    silent scope follows if the playbook says so."""

    def __init__(self, run: Run, front: Front, log: OrderLog, inputs: list[Place]) -> None:
        self._front, self._log = front, log
        self._times = run.playbook.times
        self._follow = run.playbook.engine.idle == "follow"
        self._probe = Probe(run.brokers, inputs)
        self._last = time.monotonic()
        self._broker_time = -1  # that was asked about
        self._trust_from = 0.0

    def distrust(self) -> None:
        """The broker was away. Producers come back one after the other with what they kept meanwhile, so
        for a while an empty partition proves nothing."""
        self._trust_from = time.monotonic() + self._times.settle / 1000

    def prove(self, now: float, last_cut: float) -> None:
        """Ask about partitions that say nothing while others, or time itself, went on; take the answers. Both
        times are monotonic, in seconds."""
        front = self._front
        for answer in self._probe.answers():
            if answer.end <= front.reached[answer.partition]:
                front.proven_idle(answer.partition, answer.until)
        if self._probe.failed:
            self._probe.failed = False
            self.distrust()
        if self._probe.busy or now - self._last < PROBE_EVERY or now < self._trust_from:
            return
        until, indexes = front.latest(), front.laggards(SLACK)
        if self._follow and not front.held and now - last_cut >= self._times.heartbeat / 2000:
            broker_time = self._log.broker_time - self._times.idle_delay
            if broker_time > max(until, self._broker_time):
                until, indexes = broker_time, list(range(front.inputs))
                self._broker_time = broker_time
        unreported = [i for i in range(front.inputs) if front.newest[i] < 0 and front.idle_until[i] < 0]
        if unreported:
            indexes, until = sorted({*indexes, *unreported}), max(until, 0)
        if indexes:
            self._last = now
            self._probe.ask(indexes, until)
