"""What purchase intent is, as the playbook says, compiled."""

from __future__ import annotations

from typing import Final, NamedTuple
from zlib import crc32

from operators.churn.subject import Subject
from operators.intent import vector

ORDER: Final = ""  # what an order is to it; a signal has a name


class Definition(NamedTuple):
    """Durations in ms. Whoever does one of the `signals` is there; whether an order (an event of `on`)
    follows within `horizon` is what is foretold, where `visit` within the same visit. A visit ends where
    nothing was done for `gap`. Somebody is scored at every order and signal. Snapshots that wait for their
    label are at least `apart`. `signals`: name -> events, in the order of the way to an order. `more`:
    features of the playbook that are facts besides.
    """

    on: frozenset[str]
    signals: dict[str, frozenset[str]]
    horizon: int
    gap: int
    apart: int
    visit: bool = False
    more: tuple[str, ...] = ()

    @property
    def facts(self) -> tuple[str, ...]:
        return vector.names(self.signals, self.more)

    @property
    def every(self) -> int:
        """Nobody is scored because of time alone."""
        return 0

    @property
    def throttle(self) -> int:
        """Nobody waits for a score."""
        return 0

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.facts

    @property
    def words(self) -> dict[str, tuple[str, str]]:
        """Of each input, what to say when it is large and when it is small."""
        return vector.words(tuple(self.signals), self.more)

    @property
    def subject(self) -> Subject:
        return vector.subject(len(self.signals), len(self.more))

    def means(self, event: str) -> str | None:
        """What an event of this name is to it: ORDER, a signal, or None for nothing."""
        if event in self.on:
            return ORDER
        return next((name for name, events in self.signals.items() if event in events), None)

    @property
    def fingerprint(self) -> str:
        """The same where examples of one may teach a model for the other."""
        signals = [(name, sorted(events)) for name, events in self.signals.items()]
        meaning = sorted(self.on), signals, self.horizon, self.visit, self.gap, self.facts
        return f"{crc32(repr(meaning).encode()):08x}"
