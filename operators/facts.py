"""The features of a customer at a moment: aggregates read from panes, what is derived from them, and what
their last score said."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from operators import told
from operators.churn.keeper import Score
from operators.playbook import Playbook
from operators.questions import question_of
from operators.records import Record


def feature_values(playbook: Playbook, record: Record, names: Collection[str], now: int) -> dict[str, Any]:
    """The features `names` of the playbook for this customer at `now` (ms), in that order."""
    asked = tuple(names)
    question = playbook.asked.get(asked)
    if question is None:
        question = playbook.asked[asked] = question_of(playbook.features, playbook.plan, asked)
    found = question.nothing.copy()
    if question.readings is not None and record.has("m"):
        question.readings.take(record.look("m"), now, found)
    if question.said:
        scores: dict[str, Score | None] = {}
        for name, subject in question.said:
            if subject not in scores:
                scores[subject] = newest_score(playbook, record, subject, now)
            found[name] = told.says(scores[subject], name)
    hidden = playbook.hidden
    for name in hidden:
        if name in found:
            found[name] = None
    for name, expression in question.derived:
        if name not in hidden:
            found[name] = expression.value(found)
    return {name: found[name] for name in asked} if question.more else found


def newest_score(playbook: Playbook, record: Record, subject: str, now: int) -> Score | None:
    """The customer's newest score, while what it foretells is not past at `now` (ms), or None."""
    foretold = playbook.foretold.get(subject)
    if foretold is None or not record.has(subject):
        return None
    definition = foretold.definition
    score = foretold.keeper.newest(
        record.look(subject), foretold.served, lambda at: numbers(playbook, record, definition.more, at)
    )
    return score if score is not None and now <= score.at + definition.horizon else None


def numbers(playbook: Playbook, record: Record, names: Collection[str], at: int) -> list[float]:
    """The features `names` at `at` (ms) as a model takes them: what is no number is 0."""
    if not names:
        return []
    values = feature_values(playbook, record, names, at).values()
    return [float(value) if isinstance(value, (int, float)) else 0.0 for value in values]
