"""Why a score is what it is, in words.

Inputs that say nearly the same pull against each other (many purchases, but on few days), so what is
summed up and ranked are groups of them. A group speaks through its member that pulled hardest in the
group's direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from operators.churn.scoring import Function
from operators.churn.vector import INPUTS

MOST = 3
LEAST = 0.05  # log-odds; about one percentage point, not worth a word below

GROUPS = (
    ("recency", "gap_ratio", "gap_surprise", "activity", "trend", "burst"),
    ("purchases", "purchase_days", "bought_once", "rate", "expected_purchases"),
    ("spent", "average_value", "last_value", "expected_value"),
    ("gap_mean", "gap_spread"),
    ("tenure",),
    ("same_season",),
)  # those of one member last
_NAMES = tuple(INPUTS)
_MEMBERS = [tuple(_NAMES.index(name) for name in group) for group in GROUPS]
_PICK = [itemgetter(*members) for members in _MEMBERS if len(members) > 1]
_ALONE = [members[0] for members in _MEMBERS if len(members) == 1]
_SIZE = len(_NAMES)


def words(function: Function, inputs: Sequence[float], more: Sequence[str] = ()) -> tuple[str, ...]:
    """The most important first, such as "raises: long since the last purchase". `more`: the names of what
    the playbook adds."""
    moves = function.moves(inputs)
    groups = [sum(pick(moves)) for pick in _PICK]
    groups += [moves[index] for index in _ALONE]
    groups += moves[_SIZE:]
    found = []
    for place in sorted(range(len(groups)), key=[-abs(total) for total in groups].__getitem__)[:MOST]:
        total = groups[place]
        if -LEAST < total < LEAST:
            break
        hardest = max if total > 0 else min
        if place < len(_MEMBERS):
            strongest = hardest(_MEMBERS[place], key=moves.__getitem__)
            text = INPUTS[_NAMES[strongest]][0 if function.above(inputs, strongest) else 1]
        else:
            index = place - len(_MEMBERS)
            text = f"{'high' if function.above(inputs, _SIZE + index) else 'low'} {more[index]}"
        found.append(f"{'raises' if total > 0 else 'lowers'}: {text}")
    return tuple(found)
