"""Prequential figures from a histogram of scores: constant time a label, constant space.

Scores are counted in BINS bins of equal width. The area under the ROC curve counts pairs in one bin as
half; with 1,000 bins it is within a few ten-thousandths of the exact one.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import log

import msgspec

from schemas.churn import Figures

BINS = 1_000
LEAST = 20  # of both kinds, or there is no saying


class Tally(msgspec.Struct, array_like=True):
    """`no`, `yes`: labels by score. `sums`: of the scores, by tenth. `loss`: sum of log losses."""

    no: list[int]
    yes: list[int]
    sums: list[float]
    loss: float = 0.0


def empty() -> Tally:
    return Tally([0] * BINS, [0] * BINS, [0.0] * 10)


def add(tally: Tally, score: float, label: bool) -> float:
    """Count a label; its log loss."""
    index = min(int(score * BINS), BINS - 1)
    tally.sums[index * 10 // BINS] += score
    if label:
        tally.yes[index] += 1
        loss = -log(max(score, 1e-6))
    else:
        tally.no[index] += 1
        loss = -log(max(1 - score, 1e-6))
    tally.loss += loss
    return loss


def together(tallies: Iterable[Tally]) -> Tally:
    whole = empty()
    for tally in tallies:
        whole.no = [a + b for a, b in zip(whole.no, tally.no, strict=True)]
        whole.yes = [a + b for a, b in zip(whole.yes, tally.yes, strict=True)]
        whole.sums = [a + b for a, b in zip(whole.sums, tally.sums, strict=True)]
        whole.loss += tally.loss
    return whole


def figures(tally: Tally) -> Figures:
    no, yes = sum(tally.no), sum(tally.yes)
    labels = no + yes
    known = min(no, yes) >= LEAST
    return Figures(
        labels=labels,
        positive=yes,
        auc=_auc(tally, no, yes) if known else None,
        log_loss=tally.loss / labels if labels else None,
        ece=sum(abs(mean - rate) * n for n, mean, rate in curve(tally)) / labels if labels else None,
        lift=tenths(tally)[0][1] / (labels / 10) / (yes / labels) if known else None,
    )


def curve(tally: Tally) -> list[tuple[int, float, float]]:
    """(labels, mean score, share of positive labels) of each tenth of the scale."""
    width = BINS // 10
    found = []
    for tenth in range(10):
        part = slice(tenth * width, (tenth + 1) * width)
        gone = sum(tally.yes[part])
        n = gone + sum(tally.no[part])
        found.append((n, tally.sums[tenth] / n if n else 0.0, gone / n if n else 0.0))
    return found


def _auc(tally: Tally, no: int, yes: int) -> float:
    below = pairs = 0.0
    for calm, gone in zip(tally.no, tally.yes, strict=True):
        pairs += gone * (below + calm / 2)
        below += calm
    return pairs / (no * yes)


def tenths(tally: Tally) -> list[tuple[float, float]]:
    """(labels, positive ones) of each tenth of the labels by score, highest first. A bin that two tenths
    share counts in both by its part."""
    size = (sum(tally.no) + sum(tally.yes)) / 10
    if not size:
        return [(0.0, 0.0)] * 10
    found: list[tuple[float, float]] = []
    n = caught = 0.0
    for calm, gone in zip(reversed(tally.no), reversed(tally.yes), strict=True):
        left = float(calm + gone)
        while left and n + left >= size and len(found) < 9:
            part = (size - n) / (calm + gone)
            found.append((size, caught + part * gone))
            left -= size - n
            n = caught = 0.0
        n += left
        caught += gone * left / (calm + gone) if left else 0.0
    return [*found, (n, caught)]
