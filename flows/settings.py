"""What one run needs to know, gathered once and handed to every step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows import fixed
from flows.copies import Copies, Copying
from flows.placing import place
from flows.plan import Plan
from flows.routing import spread
from flows.telemetry.settings import Settings
from flows.telemetry.watching import Watching
from flows.writeback import Clock
from operators.playbook import Playbook
from schemas import topics
from state.directory import Directory

# Epochs of a live run that make one of a replay: nobody waits for it, and what changes again is written once.
REPLAYED = 3


@dataclass
class Run:
    """One run of a scope. `stop` is set by SIGTERM: the source ends, the last snapshot is taken.

    With a `plan` it is a replay: a bounded range, worked off in a space of its own. The space is what the
    names of all topics that are written, consumer groups and transactional ids begin with; that of a live
    run is its scope. `shown` is the scope that its telemetry names: a replay is not what alerts are about.
    `epoch` (ms) is how often everything is made durable.
    """

    playbook: Playbook
    text: str
    brokers: str
    state: Path
    on_gap: str = "stop"
    telemetry: Settings = field(default_factory=Settings)
    copying: Copying | None = None
    plan: Plan | None = None
    sequencer: Callable[..., Any] | None = None  # makes the sequencer, where it is not the live one
    rate: int = 0  # events a second at most; 0: as fast as it goes
    progress: Callable[[int, int], None] | None = None  # is told of a replay's events done and its watermark
    stop: threading.Event = field(default_factory=threading.Event)
    incarnation: int = -1  # of the sequencer whose cuts this process works on, once it is known
    again: bool = False  # this end is for a new start, because an input topic has grown
    others: int = 0  # cuts that are to be repeated with another playbook, after this end
    newest: bytes | None = None  # the sequencer's last snapshot, in the process that has it
    failing: Callable[[BaseException], None] = lambda error: None  # is told of what leaves our code

    def __post_init__(self) -> None:
        engine = self.playbook.engine
        self.scope = self.playbook.scope
        self.watching = Watching(self.telemetry)
        self.timings = self.watching.timings
        self.directory = Directory(self.state, self.scope)
        figures = self.watching.figures
        self.copies = Copies(self.directory.root, self.copying, figures) if self.copying else None
        self.playbook, self.slots = place(self.directory.root, self.text)
        self.playbook = fixed.of(self.playbook, self.plan, self.directory.root)
        self.shard_keys = spread("shard", engine.shards)
        self.history_keys = spread("history", engine.shards) if self.playbook.history else []
        self.kinds = {topic: kind for kind, topic in self.playbook.reference.items()}
        self.sources = {topic: name for name, topic in self.playbook.topics.items()} | self.kinds
        self.inputs = self.playbook.inputs
        self.space = self.scope if self.plan is None else self.plan.space
        self.shown = self.scope if self.plan is None else f"{self.scope}.replay"
        self.order = topics.order(self.space)
        self.moves = topics.output(self.space, topics.MOVES)
        self.control = topics.output(self.space, topics.CONTROL)
        self.models = topics.learning(self.scope, "models")
        self.epoch = self.playbook.times.epoch * (1 if self.plan is None else REPLAYED)
        self.clock = Clock(self.epoch / 1000, time.monotonic())

    @property
    def outputs(self) -> tuple[int, ...]:
        """Codes of the topics that are written."""
        every = self.playbook.outputs
        return tuple(code for code in every if self.plan is None or code in self.plan.outputs)

    def output(self, code: int) -> str:
        """Full name of an output topic."""
        return topics.output(self.space if self.plan is None else self.plan.space_of(self.scope, code), code)

    @property
    def fixed(self) -> dict[str, object]:
        """What a state directory is made for and cannot change later."""
        engine = self.playbook.engine
        return {"shards": engine.shards, "partitions": engine.partitions}
