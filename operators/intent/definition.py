"""What purchase intent is, as the playbook says, compiled."""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

from operators.intent import vector


class Definition(NamedTuple):
    """Durations in ms. Whoever does one of the `signals` is there; whether an order (an event of `on`)
    follows within `horizon` is what is foretold. A visit ends where nothing was done for `gap`. Snapshots
    that wait for their label are at least `apart`. `signals`: name -> events, in the order of the way to an
    order. `more`: features of the playbook that are facts besides.
    """

    on: frozenset[str]
    signals: dict[str, frozenset[str]]
    horizon: int
    gap: int
    apart: int
    more: tuple[str, ...] = ()

    @property
    def facts(self) -> tuple[str, ...]:
        """Their names; a model's inputs have the same."""
        signals = self.signals
        return (
            *vector.FACTS,
            *(f"{name}_in_visit" for name in signals),
            *(f"{name}_before" for name in signals),
            *self.more,
        )

    @property
    def fingerprint(self) -> str:
        """The same where examples of one may teach a model for the other."""
        signals = [(name, sorted(events)) for name, events in self.signals.items()]
        meaning = sorted(self.on), signals, self.horizon, self.gap, self.facts
        return f"{crc32(repr(meaning).encode()):08x}"
