"""What one run needs to know, gathered once and handed to every step."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from flows.routing import spread
from flows.timings import Timings
from operators.playbook import Playbook
from schemas import topics
from state.directory import Directory


@dataclass
class Run:
    """One run of a scope. `stop` is set by SIGTERM: the source ends, the last snapshot is taken."""

    playbook: Playbook
    text: str
    brokers: str
    state: Path
    on_gap: str = "stop"
    stop: threading.Event = field(default_factory=threading.Event)
    timings: Timings = field(default_factory=Timings)
    incarnation: int = -1  # of the sequencer whose cuts this process works on, once it is known
    again: bool = False  # this end is for a new start, because an input topic has grown
    newest: bytes | None = None  # the sequencer's last snapshot, in the process that has it

    def __post_init__(self) -> None:
        engine = self.playbook.engine
        self.scope = self.playbook.scope
        self.directory = Directory(self.state, self.scope)
        self.shard_keys = spread("shard", engine.shards)
        self.kinds = {topic: kind for kind, topic in self.playbook.reference.items()}
        self.inputs = self.playbook.inputs
        self.order = topics.order(self.scope)
        self.moves = topics.output(self.scope, topics.MOVES)
        self.control = topics.output(self.scope, topics.CONTROL)

    @property
    def fixed(self) -> dict[str, object]:
        """What a state directory is made for and cannot change later."""
        engine = self.playbook.engine
        return {"shards": engine.shards, "partitions": engine.partitions}
