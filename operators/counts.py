"""The ledger's counts of one shard: what came in per topic, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping

Counts = dict[str, dict[str, int]]

OUTCOMES = ("accepted", "duplicate", "dead_lettered", "held")
NAMES = ("received", *OUTCOMES, "conflicting")


class Row:
    """The counts of one topic. Attributes, because two of them go up with every event: a tenth of what it
    takes in a dict."""

    __slots__ = ("accepted", "conflicting", "dead_lettered", "duplicate", "held", "received")

    def __init__(self) -> None:
        self.received = self.accepted = self.duplicate = self.dead_lettered = 0
        self.held = self.conflicting = 0

    def set(self, counts: Mapping[str, int]) -> None:
        """Count on from `counts`."""
        self.received = counts.get("received", 0)
        self.accepted = counts.get("accepted", 0)
        self.duplicate = counts.get("duplicate", 0)
        self.dead_lettered = counts.get("dead_lettered", 0)
        self.held = counts.get("held", 0)
        self.conflicting = counts.get("conflicting", 0)

    def by_name(self) -> dict[str, int]:
        values = (
            self.received, self.accepted, self.duplicate, self.dead_lettered, self.held, self.conflicting
        )  # fmt: skip
        return dict(zip(NAMES, values, strict=True))


class Tally:
    """Cumulative counts, `received` = accepted + duplicate + dead_lettered + held at every cut.
    `conflicting` are those of the accepted whose message id had come with another payload.

    >>> tally = Tally({})
    >>> row = tally.row("shop.web/3"); row.received += 1; row.accepted += 1
    >>> tally.counts["shop.web"]["accepted"], tally.balanced()
    (1, True)
    """

    def __init__(self, counts: Counts) -> None:
        self._topics: dict[str, Row] = {}
        self._rows: dict[str, Row] = {}  # by place
        for topic, row in counts.items():
            self._of(topic).set(row)

    def row(self, place: str) -> Row:
        """The counts of a place's (topic/partition) topic."""
        row = self._rows.get(place)
        if row is None:
            row = self._rows[place] = self._of(place.rpartition("/")[0])
        return row

    def _of(self, topic: str) -> Row:
        row = self._topics.get(topic)
        if row is None:
            row = self._topics[topic] = Row()
        return row

    @property
    def counts(self) -> Counts:
        """By topic, as they are now."""
        return {topic: row.by_name() for topic, row in self._topics.items()}

    def restore(self, counts: Counts) -> None:
        """Set every count back to what it was when `counts` were taken."""
        for topic, row in self._topics.items():
            row.set(counts.get(topic, {}))

    def balanced(self) -> bool:
        return all(
            row.received == row.accepted + row.duplicate + row.dead_lettered + row.held
            for row in self._topics.values()
        )
