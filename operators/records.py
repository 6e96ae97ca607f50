"""A customer's record: named parts, each kept as bytes until something touches it.

`core` is who they are to the engine, `seen` their recent message ids, `m` what was measured of them,
`p:<rule>` the open patterns of a rule, `sent` the triggers that may still be cancelled, `churn` and `intent`
what is foretold of them: what it follows from, score and the snapshots that wait for labels; `queue` what
waits for a move to arrive. MERGES is the one list of what moves on a merge and how; `queue` is always empty
by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from operators import dedupe, features, patterns
from operators.dedupe import Seen
from operators.features import Plan
from operators.foretold import EMPTY, KINDS, Foretold
from operators.migrations import VERSION, bring_up
from operators.parts import Core, Measured, Patterns, Queue, Sent

# Final, as compiled code would look them up by their names each time.
_encode: Final = msgspec.msgpack.Encoder().encode
_decoders: Final[dict[str, Callable[[bytes], Any]]] = {
    "core": msgspec.msgpack.Decoder(Core).decode,
    "seen": msgspec.msgpack.Decoder(Seen).decode,
    "m": msgspec.msgpack.Decoder(Measured).decode,
    "p": msgspec.msgpack.Decoder(Patterns).decode,
    "sent": msgspec.msgpack.Decoder(dict[str, Sent]).decode,
    **{subject: msgspec.msgpack.Decoder(kind).decode for subject, kind in KINDS.items()},
    "queue": msgspec.msgpack.Decoder(Queue).decode,
}
_EMPTY: Final[dict[str, Callable[[], Any]]] = {
    "core": lambda: Core(consents={}, cooldowns={}, alarms={}, addresses={}),
    "seen": dict,
    "m": lambda: Measured(forms=[], rows=[]),
    "p": lambda: Patterns(keys={}, once={}),
    "sent": dict,
    **EMPTY,
    "queue": lambda: Queue(held=[], early={}, cuts=[]),
}
_decode_parts = msgspec.msgpack.Decoder(tuple[int, dict[str, bytes]]).decode


class Record:
    """One customer. `part(name)` and `look(name)` decode on first touch; `encode()` encodes only what `part`
    gave since it was last called, and lets go of the decoded form of the rest (measured: 8 instead of 13 µs).
    """

    __slots__ = ("_live", "_packed", "_warm", "id")

    def __init__(self, id: str, packed: dict[str, bytes] | None = None) -> None:
        self.id = id
        self._packed: dict[str, bytes] = {} if packed is None else packed  # as last encoded
        self._live: dict[str, Any] = {}  # touched since then
        self._warm: dict[str, Any] = {}  # decoded, as in `_packed`

    def part(self, name: str) -> Any:
        """The decoded part, to be read or changed before the next `encode`."""
        found = self._live.get(name)
        if found is None:
            found = self._live[name] = self._decoded(name)
        return found

    def look(self, name: str) -> Any:
        """The decoded part, to be read only: it is not encoded again."""
        found = self._live.get(name)
        if found is None:
            found = self._decoded(name) if name in self._packed else self.part(name)
        return found

    def _decoded(self, name: str) -> Any:
        """As in `_packed`, or a new one."""
        found = self._warm.get(name)
        if found is None:
            raw = self._packed.get(name)
            kind = name if name in _EMPTY else "p"
            if raw is None:
                return _EMPTY[kind]()
            found = self._warm[name] = _decoders[kind](raw)
        return found

    def has(self, name: str) -> bool:
        return name in self._live or name in self._packed

    def names(self) -> list[str]:
        """The parts there are."""
        return [*self._packed, *(name for name in self._live if name not in self._packed)]

    def drop(self, name: str) -> None:
        for parts in (self._live, self._warm, self._packed):
            parts.pop(name, None)

    def remove(self, name: str) -> bytes:
        """Drop a part; its bytes."""
        raw = _encode(self._live[name]) if name in self._live else self._packed.get(name, b"")
        self.drop(name)
        return raw

    def take(self, name: str, other: Record) -> None:
        """Take over a part of `other`, which must not be used any more."""
        if name in other._live:
            self._live[name] = other._live[name]
        else:
            self._packed[name] = other._packed[name]

    def encode(self) -> bytes:
        packed, live = self._packed, self._live
        for name, part in live.items():
            packed[name] = _encode(part)
        self._warm, self._live = live, {}
        return _encode((VERSION, packed))


def decode(id: str, raw: bytes) -> Record:
    """A stored record. Raises ValueError when it is none, or of a version this program does not know."""
    version, parts = _decode_parts(raw)
    if version != VERSION:
        parts = bring_up(id, version, parts)
    return Record(id, parts)


class Kept(NamedTuple):
    """What the playbook keeps: panes of its measures, and what it foretells."""

    plan: Plan
    foretold: Mapping[str, Foretold] = {}


def merge(mine: Record, theirs: Record, kept: Kept) -> None:
    """Take over all of `theirs`, as if both had been one customer from the start. Alarms and scores are
    left to the caller, who knows rules and models."""
    for name in theirs.names():
        kind, _, _ = name.partition(":")
        if kind == "queue":
            continue
        if not mine.has(name):
            mine.take(name, theirs)
        else:
            MERGES[kind](mine.part(name), theirs.part(name), kept)


def _merge_core(mine: Core, theirs: Core, _: Any) -> None:
    for name, pick in CORE_MERGES.items():
        setattr(mine, name, pick(getattr(mine, name), getattr(theirs, name)))


def _earliest(one: int, other: int) -> int:
    return other if one < 0 else one if other < 0 else min(one, other)


def _consents(
    one: dict[str, tuple[int, bool]], other: dict[str, tuple[int, bool]]
) -> dict[str, tuple[int, bool]]:
    """The latest word counts; of two at the same moment, the refusal."""
    both = dict(one)
    for key, theirs in other.items():
        mine = both.get(key)
        if mine is None or (theirs[0], not theirs[1]) > (mine[0], not mine[1]):
            both[key] = theirs
    return both


def _latest(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return one | {key: max(at, one.get(key, at)) for key, at in other.items()}


MOST_ADDRESSES = 32


def _addresses(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """All of both; of too many, those first in the order of their checksums, whoever brought them."""
    both = _latest(one, other)
    return both if len(both) <= MOST_ADDRESSES else dict(sorted(both.items())[:MOST_ADDRESSES])


def _soonest(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return one | {key: min(at, one.get(key, at)) for key, at in other.items()}


def _merge_foretold(subject: str) -> Callable[[Any, Any, Kept], None]:
    def merge(mine: Any, theirs: Any, kept: Kept) -> None:
        if subject in kept.foretold:  # else nobody asks for it any more
            kept.foretold[subject].keeper.merge(mine, theirs)

    return merge


CORE_MERGES: dict[str, Callable[[Any, Any], Any]] = {
    "first_seen": _earliest,
    "last_seen": max,
    "consents": _consents,
    "cooldowns": _latest,
    "alarms": _soonest,
    "addresses": _addresses,
}
MERGES: dict[str, Callable[[Any, Any, Kept], Any]] = {
    "core": _merge_core,
    "seen": lambda mine, theirs, _: dedupe.merge(mine, theirs),
    "m": lambda mine, theirs, kept: features.merge(mine, theirs, kept.plan),
    "p": lambda mine, theirs, _: patterns.merge(mine, theirs),
    "sent": lambda mine, theirs, _: mine.update(theirs),
    **{subject: _merge_foretold(subject) for subject in KINDS},
}
