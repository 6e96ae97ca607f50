"""What a score says to others: names that conditions, facts and features of a playbook may use where it has
a section `churn`. Nothing is known (None) of a customer who was not scored yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from operators.churn.customer import Score

# Probabilities are rounded: facts are read by people, and a condition is written with two digits.
SAID: dict[str, Callable[[Score], Any]] = {
    "churn_probability": lambda score: round(score.churn, 4),
    "churn_reasons": lambda score: list(score.reasons),
    "churn_model": lambda score: score.version,
    "churn_prior": lambda score: score.version == 0,
    "expected_purchases": lambda score: round(score.expected_purchases, 3),
    "expected_value": lambda score: round(score.expected_value * 100),
    "value_rank": lambda score: score.value_rank if score.value_rank >= 0 else None,
    "next_purchase_at": lambda score: score.next_purchase_at,
}


def says(score: Score | None, name: str) -> Any:
    """What `score` says by the name of `name`. Raises KeyError for a name that is none of these."""
    said = SAID[name]
    return said(score) if score is not None else None
