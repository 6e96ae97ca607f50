"""Why a score is what it is, in words.

Inputs that say nearly the same pull against each other (many purchases, but on few days), so what is
summed up and ranked are groups of them. A group speaks through its member that pulled hardest in the
group's direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from operators.churn.scoring import Function

MOST: Final = 3
LEAST: Final = 0.05  # log-odds; about one percentage point, not worth a word below


class Reasons:
    """Those of one subject. `words`: of each input of its models, in their order, what to say when it is
    large and when it is small; `groups`: names of those that belong together."""

    def __init__(self, words: Mapping[str, tuple[str, str]], groups: Sequence[Sequence[str]]) -> None:
        names = list(words)
        self._words = list(words.values())
        together = [[names.index(name) for name in group] for group in groups]
        grouped = {place for group in together for place in group}
        self._groups = together + [[place] for place in range(len(names)) if place not in grouped]

    def of(self, function: Function, inputs: list[float]) -> tuple[str, ...]:
        """The most important first, such as "raises: long since the last purchase"."""
        moves = function.moves(inputs)
        totals = [_sum(moves, group) for group in self._groups]
        found: list[str] = []
        while len(found) < MOST:
            place = _furthest(totals)
            total = totals[place]
            if -LEAST < total < LEAST:
                break
            totals[place] = 0.0
            strongest = _strongest(moves, self._groups[place], total > 0)
            large, small = self._words[strongest]
            text = large if function.above(inputs, strongest) else small
            found.append(f"raises: {text}" if total > 0 else f"lowers: {text}")
        return tuple(found)


def _sum(moves: list[float], group: list[int]) -> float:
    total = 0.0
    for place in group:
        total += moves[place]
    return total


def _furthest(totals: list[float]) -> int:
    """The first of those furthest from zero."""
    found, most = 0, -1.0
    for place, total in enumerate(totals):
        far = abs(total)
        if far > most:
            found, most = place, far
    return found


def _strongest(moves: list[float], group: list[int], up: bool) -> int:
    """The first of those that pull hardest, upwards or downwards."""
    found = group[0]
    for place in group:
        if moves[place] > moves[found] if up else moves[place] < moves[found]:
            found = place
    return found
