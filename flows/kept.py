"""Where the stores of the steps keep what they say about themselves, for the steps and whoever reads them."""

from __future__ import annotations

import msgspec

from operators.folding import Sweep

META = b"!meta"
MODELS = b"!models"
SHOWN = b"!shown"  # generation of features -> the watermark from which on they are told
FILLING, FOLDING = b"!filling", b"!folding"  # of history


class About(msgspec.Struct, array_like=True):
    """What a shard of history knows of itself: it holds the events from the cut `since` on, when the
    watermark was `watermark` (ms, -1: from the very first)."""

    format: int
    since: int
    watermark: int


_unpack_about = msgspec.msgpack.Decoder(About).decode
_unpack_sweep = msgspec.msgpack.Decoder(Sweep).decode


def folder(shard: int) -> str:
    """The name of a shard's store of history in the state directory."""
    return f"history-{shard:02d}"


def about(raw: bytes | None) -> About | None:
    return None if raw is None else _unpack_about(raw)


def sweep(raw: bytes | None) -> Sweep:
    """How far a shard's events are folded."""
    return _unpack_sweep(raw) if raw else Sweep()
