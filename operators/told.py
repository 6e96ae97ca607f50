"""What scores say to others: names that conditions, facts and features of a playbook may use where it has the
section of that subject. Nothing is known (None) of a customer who was not scored yet, or so long ago that
what was foretold is past."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

# Probabilities are rounded: facts are read by people, and a condition is written with two digits.
COMMON: dict[str, Callable[[Any], Any]] = {
    "probability": lambda score: round(score.probability, 4),
    "reasons": lambda score: list(score.reasons),
    "model": lambda score: score.version,
    "prior": lambda score: score.version == 0,
}
SAID: dict[str, dict[str, Callable[[Any], Any]]] = {
    "churn": {
        **{f"churn_{name}": said for name, said in COMMON.items()},
        "expected_purchases": lambda score: round(score.expected_purchases, 3),
        "expected_value": lambda score: round(score.expected_value * 100),
        "value_rank": lambda score: score.value_rank if score.value_rank >= 0 else None,
        "next_purchase_at": lambda score: score.next_purchase_at,
    },
    "intent": {f"intent_{name}": said for name, said in COMMON.items()},
}
FIELDS = {  # as a profile names them, where the subject has a place of its own
    subject: [(name.removeprefix(f"{subject}_"), said) for name, said in names.items()]
    for subject, names in SAID.items()
}
OF = {name: subject for subject, names in SAID.items() for name in names}  # whose score says it


def names(subjects: Collection[str]) -> list[str]:
    """What there is to say where a playbook has the sections `subjects`."""
    return [name for name, subject in OF.items() if subject in subjects]


def says(score: Any, name: str) -> Any:
    """What `score` says by the name of `name`. Raises KeyError for a name that is none of these."""
    said = SAID[OF[name]][name]
    return said(score) if score is not None else None
