"""Cuts: as they are written to the `order` topic, and as they travel to resolve."""

from __future__ import annotations

from typing import Any

import msgspec

# (event time, partition index, offset, kind, arrived, identifiers, reason or version, raw bytes or payload)
Arrival = tuple[int, int, int, int, int, Any, Any]


class Opened(msgspec.Struct, array_like=True, tag="open", gc=False):
    """A new incarnation of the sequencer; cuts that an older one appends after it are void.

    `partitions` are (topic, partition, offset from which this incarnation reads); `ids` the broker's id
    of each topic, as far as it gives one.
    """

    playbook: str
    partitions: list[tuple[str, int, int]]
    ids: dict[str, str] = {}


class Cut(msgspec.Struct, array_like=True, tag="cut", gc=False):
    """Everything up to `ends` is in. `ends` names only partitions that advanced, by their index in
    the incarnation's marker; `incarnation` is the offset of that marker in `order`. A cut that repeats one
    of another order says at which offset of that it is."""

    incarnation: int
    number: int
    watermark: int
    ends: dict[int, int]
    events: int
    last: bool = False
    repeats: int = -1


class Batch(msgspec.Struct, array_like=True, gc=False):
    """A released cut as it travels to resolve. `run` is the incarnation that released it, `before`
    the watermark of the cut before it, `places` the topic/partition of each partition index. `traces`:
    topic/partition/offset -> traceparent of the events that are followed; nothing is decided by it."""

    number: int
    watermark: int
    before: int
    last: bool
    run: int
    places: list[str]
    events: list[Arrival]
    traces: dict[str, str] | None = None


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Opened | Cut).decode
