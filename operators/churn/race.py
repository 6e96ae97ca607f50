"""Which contestant is the champion: promotion by a margin over many labels, fall-back on drift.

Losses are log losses of scores as they were given, so a contestant is judged by what it would have told
customers, not by what it knows by now.
"""

from __future__ import annotations

from typing import Any

import msgspec

from operators.churn.definition import Terms

RULE = "rule"  # recency and frequency, learns nothing: what a champion must at least be better than
BLOCKS = 10  # a window moves on by a tenth of its length
WORST = 3.0  # nats; ADWIN is told losses as parts of this
TOGETHER = 20  # labels; ADWIN is told their mean, which it takes no longer to see a change in


class Window(msgspec.Struct, array_like=True):
    """Mean loss over the newest labels, in blocks of `block` labels. `open`: the sum of the `n` losses of
    the block that is not full yet."""

    block: int
    blocks: list[float] = []
    open: float = 0.0
    n: int = 0

    def add(self, loss: float) -> None:
        self.open += loss
        self.n += 1
        if self.n == self.block:
            self.blocks.append(self.open / self.n)
            del self.blocks[:-BLOCKS]
            self.open, self.n = 0.0, 0

    def mean(self, blocks: int = BLOCKS) -> float | None:
        """Over so many whole blocks; None while there are not so many."""
        return sum(self.blocks[-blocks:]) / blocks if len(self.blocks) >= blocks else None

    def clear(self) -> None:
        self.blocks, self.open, self.n = [], 0.0, 0


class Standing(msgspec.Struct, array_like=True):
    """A race as it stands, but for River's detectors."""

    champion: str
    windows: dict[str, Window]
    sums: dict[str, float]
    labels: int
    drifted: list[str]


class Race:
    """`champion` may change with every label; `add` says why when it does."""

    def __init__(self, names: tuple[str, ...], champion: str, terms: Terms) -> None:
        from river import drift  # brings scipy: a second or two, only for who learns

        self.terms = terms
        self.champion = champion
        self.windows = {name: Window(max(1, terms.labels // BLOCKS)) for name in names}
        self.detectors: dict[str, Any] = {name: drift.ADWIN() for name in names}
        self.sums = dict.fromkeys(names, 0.0)
        self.labels = 0
        self.drifted: list[str] = []

    def add(self, losses: dict[str, float]) -> str | None:
        """Losses of one label by contestant. Why there is a new champion, if there is."""
        for name, loss in losses.items():
            self.windows[name].add(loss)
            self.sums[name] += min(loss, WORST)
        self.labels += 1
        window = self.windows[self.champion]
        if self.labels % TOGETHER == 0 and self._degraded():
            # What the champion lost before the drift says nothing about now.
            return self._replace(BLOCKS // 4 + 1, 0.0, "fell back: the loss of {old} rose to {was:.3f}")
        if window.n == 0:
            return self._replace(BLOCKS, self.terms.margin, "promoted: better than {old} ({was:.3f})")
        return None

    def keep(self) -> Standing:
        return Standing(self.champion, self.windows, self.sums, self.labels, self.drifted)

    def restore(self, standing: Standing, detectors: dict[str, Any]) -> None:
        """Go on from what was kept."""
        self.champion, self.windows, self.sums, self.labels, self.drifted = (
            standing.champion, standing.windows, standing.sums, standing.labels, standing.drifted,
        )  # fmt: skip
        self.detectors = detectors

    def _degraded(self) -> bool:
        """Tell ADWIN; whether it sees that the champion's loss has risen."""
        found = False
        for name, detector in self.detectors.items():
            before = detector.estimation
            detector.update(self.sums[name] / TOGETHER / WORST)
            self.sums[name] = 0.0
            if detector.drift_detected:
                self.drifted.append(name)
                found |= name == self.champion and detector.estimation > before
        return found

    def promote(self, name: str) -> None:
        """Make `name` the champion, and give the others time to prove themselves again."""
        self.champion = name
        for window in self.windows.values():
            window.clear()

    def _replace(self, blocks: int, margin: float, why: str) -> str | None:
        was = self.windows[self.champion].mean(blocks)
        if was is None:
            return None
        means = {name: mean for name, w in self.windows.items() if (mean := w.mean(blocks)) is not None}
        best = min(means, key=lambda name: (means[name], name))
        if best == self.champion or was - means[best] <= margin:
            return None
        old = self.champion
        self.promote(best)
        labels = blocks * self.windows[best].block
        return f"{why.format(old=old, was=was)}, {best} {means[best]:.3f} over {labels} labels"
