"""Counts of what a sink sends, added up over a batch."""

from __future__ import annotations

from flows.telemetry.figures import Figures
from operators.effects import Effect
from schemas import topics

_TRIGGER, _CANCELLED = "oncue.trigger.", "oncue.trigger-cancelled."
_IDENTITY = "oncue.identity."


class Sent:
    """`add` for each effect, then `tell`. `now` is the wall clock in ms."""

    __slots__ = ("_kinds", "_latencies", "_topics")

    def __init__(self) -> None:
        self._topics: dict[str, int] = {}
        self._kinds: dict[tuple[int, str, str, str], int] = {}
        self._latencies: list[tuple[str, int]] = []

    def add(self, effect: Effect, topic: str, now: int) -> None:
        self._topics[topic] = self._topics.get(topic, 0) + 1
        code = effect.topic
        if code <= topics.IDENTITIES:  # of all others only the number counts
            kind = (code, effect.type, effect.group, effect.reason)
            self._kinds[kind] = self._kinds.get(kind, 0) + 1
            if code == topics.TRIGGERS and effect.type.startswith(_TRIGGER):
                self._latencies.append((effect.group, max(0, now - effect.arrived)))

    def tell(self, figures: Figures) -> None:
        for topic, count in self._topics.items():
            figures.count("messaging.client.sent.messages", count, topic)
        for (code, type, group, reason), count in self._kinds.items():
            if code == topics.DECISIONS:
                figures.count("oncue.decisions", count, group, reason)
                if reason == "merge-blocked":
                    figures.count("oncue.identity.changes", count, "blocked")
            elif code == topics.DEAD_LETTERS:
                figures.count("oncue.dead_letters", count, group, reason)
            elif code == topics.IDENTITIES:
                figures.count("oncue.identity.changes", count, type.removeprefix(_IDENTITY))
            elif type.startswith(_CANCELLED):
                figures.count("oncue.triggers.cancelled", count, group, reason)
            else:
                figures.count("oncue.triggers", count, group)
        for rule, ms in self._latencies:
            figures.observe("oncue.trigger.latency", ms / 1000, rule)
