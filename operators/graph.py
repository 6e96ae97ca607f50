"""What resolve keeps: customers, the evidence of what links them, and how far it is."""

from __future__ import annotations

import msgspec


class Cluster(msgspec.Struct, array_like=True, gc=False):
    """A customer's identity. `born` is the event time (ms) of the event that first showed it."""

    born: int
    members: list[str]


class Evidence(msgspec.Struct, array_like=True, gc=False):
    """Why two identifiers are one person: seen together in `event` (topic/partition/offset) at `at`."""

    event: str
    at: int
    rule: str = "seen together"


class Progress(msgspec.Struct, array_like=True):
    """What resolve remembers beside the graph: moves under way, what came in per topic, the newest event
    time, and which shards of leaves are through with a generation of features (`operators/filling.py`)."""

    moves: int = 0
    open_moves: list[int] = []
    ended: bool = False
    announced: bool = False
    received: dict[str, int] = {}
    newest: int = -1
    ends: int = 0
    filled: dict[int, list[int]] = {}
