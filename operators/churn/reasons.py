"""Why a score is what it is, in words.

Inputs that say nearly the same pull against each other (many purchases, but on few days), so what is
summed up and ranked are groups of them. A group speaks through its member that pulled hardest in the
group's direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter

from operators.churn.scoring import Function

MOST = 3
LEAST = 0.05  # log-odds; about one percentage point, not worth a word below


class Reasons:
    """Those of one subject. `words`: of each input of its models, in their order, what to say when it is
    large and when it is small; `groups`: names of those that belong together."""

    def __init__(self, words: Mapping[str, tuple[str, str]], groups: Sequence[Sequence[str]]) -> None:
        names = list(words)
        self._words = list(words.values())
        together = [tuple(names.index(name) for name in group) for group in groups if len(group) > 1]
        grouped = {place for group in together for place in group}
        self._alone = [place for place in range(len(names)) if place not in grouped]
        self._pick = [itemgetter(*group) for group in together]
        self._members = [*together, *((place,) for place in self._alone)]

    def of(self, function: Function, inputs: Sequence[float]) -> tuple[str, ...]:
        """The most important first, such as "raises: long since the last purchase"."""
        moves = function.moves(inputs)
        groups = [sum(pick(moves)) for pick in self._pick]
        groups += [moves[index] for index in self._alone]
        found = []
        for place in sorted(range(len(groups)), key=[-abs(total) for total in groups].__getitem__)[:MOST]:
            total = groups[place]
            if -LEAST < total < LEAST:
                break
            strongest = (max if total > 0 else min)(self._members[place], key=moves.__getitem__)
            text = self._words[strongest][0 if function.above(inputs, strongest) else 1]
            found.append(f"{'raises' if total > 0 else 'lowers'}: {text}")
        return tuple(found)
