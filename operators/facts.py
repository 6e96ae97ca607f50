"""The features of a customer at a moment: aggregates read from panes, what is derived from them, and what
their last score said."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from operators import features, told
from operators.expressions import Expression
from operators.features import Columns, Feature
from operators.foretold import PARTS, Score
from operators.playbook import Playbook
from operators.records import Record


def feature_values(playbook: Playbook, record: Record, names: Collection[str], now: int) -> dict[str, Any]:
    """The features `names` of the playbook for this customer at `now` (ms), in that order."""
    asked = tuple(names)
    plan = playbook.asked.get(asked)
    if plan is None:
        plan = playbook.asked[asked] = features.narrowed(playbook.plan, _aggregates(playbook.features, asked))
    opened = features.peek(record.part("m"), plan) if plan and record.has("m") else {}
    found: dict[str, Any] = dict.fromkeys(playbook.hidden) if playbook.hidden else {}
    _read(playbook, record, names, opened, found, {}, now)
    return {name: found[name] for name in names}


def newest_score(playbook: Playbook, record: Record, subject: str, now: int) -> Score | None:
    """The customer's newest score, while what it foretells is not past at `now` (ms), or None."""
    foretold = playbook.foretold.get(subject)
    if foretold is None or not record.has(subject):
        return None
    definition = foretold.definition
    score = PARTS[subject].newest(
        record.part(subject), foretold.served,
        lambda at: numbers(playbook, record, definition.more, at), definition,
    )  # fmt: skip
    return score if score is not None and now <= score.at + definition.horizon else None


def numbers(playbook: Playbook, record: Record, names: Collection[str], at: int) -> list[float]:
    """The features `names` at `at` (ms) as a model takes them: what is no number is 0."""
    if not names:
        return []
    values = feature_values(playbook, record, names, at).values()
    return [float(value) if isinstance(value, (int, float)) else 0.0 for value in values]


def roots(known: Mapping[str, Feature | Expression], names: Collection[str]) -> Iterator[str]:
    """What these features are or follow from: aggregates, and what no feature is, such as what scores say."""
    for name in names:
        feature = known.get(name)
        if isinstance(feature, Expression):
            yield from roots(known, feature.names)
        else:
            yield name


def _aggregates(known: Mapping[str, Feature | Expression], names: Collection[str]) -> Iterator[Feature]:
    found = (known.get(name) for name in roots(known, names))
    return (feature for feature in found if isinstance(feature, Feature))


def _read(
    playbook: Playbook,
    record: Record,
    names: Collection[str],
    opened: Mapping[str, Columns],
    found: dict[str, Any],
    scores: dict[str, Score | None],
    now: int,
) -> None:
    known = playbook.features
    for name in names:
        if name in found:
            continue
        feature = known.get(name)
        if isinstance(feature, Expression):
            _read(playbook, record, feature.names, opened, found, scores, now)
            found[name] = feature.value(found)
            continue
        if feature is None:
            subject = told.OF[name]
            if subject not in scores:
                scores[subject] = newest_score(playbook, record, subject, now)
            found[name] = told.says(scores[subject], name)
            continue
        columns = features.columns_of(opened, feature.slot)
        found[name] = features.value(columns, feature, now) if columns else feature.nothing
