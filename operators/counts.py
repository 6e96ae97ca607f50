"""The ledger's counts of one shard: what came in per topic, and what became of it."""

from __future__ import annotations

Counts = dict[str, dict[str, int]]

OUTCOMES = ("accepted", "duplicate", "dead_lettered", "held")
NAMES = ("received", *OUTCOMES, "conflicting")


class Tally:
    """Cumulative counts, `received` = accepted + duplicate + dead_lettered + held at every cut.
    `conflicting` are those of the accepted whose message id had come with another payload.

    >>> tally = Tally({})
    >>> row = tally.row("shop.web/3"); row["received"] += 1; row["accepted"] += 1
    >>> tally.counts["shop.web"]["accepted"], tally.balanced()
    (1, True)
    """

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self._rows: dict[str, dict[str, int]] = {}

    def row(self, place: str) -> dict[str, int]:
        """The counts of a place's (topic/partition) topic."""
        row = self._rows.get(place)
        if row is None:
            row = self._rows[place] = self.counts.setdefault(place.rpartition("/")[0], {})
            for name in NAMES:
                row.setdefault(name, 0)
        return row

    def copied(self) -> Counts:
        """The counts as they are now."""
        return {topic: dict(row) for topic, row in self.counts.items()}

    def restore(self, counts: Counts) -> None:
        """Set every count back to what it was when it was copied."""
        for topic, row in self.counts.items():
            row.update(counts.get(topic) or dict.fromkeys(row, 0))

    def balanced(self) -> bool:
        return all(row["received"] == sum(row[it] for it in OUTCOMES) for row in self.counts.values())
