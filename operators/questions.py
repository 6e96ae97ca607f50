"""Which features are asked for together, and in which order they are found; worked out once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from operators import features, told
from operators.expressions import Expression
from operators.features import Feature, Plan


class Question(NamedTuple):
    """`aggregates` are read from the panes of `plan`, `said` (name, subject) by the scores of subjects,
    `derived` from others, first those that others follow from."""

    plan: Plan
    aggregates: tuple[Feature, ...]
    said: tuple[tuple[str, str], ...]
    derived: tuple[tuple[str, Expression], ...]


def question_of(known: Mapping[str, Feature | Expression], plan: Plan, names: Collection[str]) -> Question:
    """What has to be found for the features `names`; `plan` is that of all that are `known`."""
    every = [*dict.fromkeys(_with_roots(known, names))]
    aggregates = tuple(it for name in every if isinstance(it := known.get(name), Feature))
    return Question(
        features.narrowed(plan, aggregates),
        aggregates,
        tuple((name, told.OF[name]) for name in every if name not in known),
        tuple((name, it) for name in every if isinstance(it := known.get(name), Expression)),
    )


def roots(known: Mapping[str, Feature | Expression], names: Collection[str]) -> Iterator[str]:
    """What these features are or follow from: aggregates, and what no feature is, such as what scores say."""
    return (name for name in _with_roots(known, names) if not isinstance(known.get(name), Expression))


def _with_roots(known: Mapping[str, Feature | Expression], names: Collection[str]) -> Iterator[str]:
    """These features, each behind what it follows from."""
    for name in names:
        feature = known.get(name)
        if isinstance(feature, Expression):
            yield from _with_roots(known, sorted(feature.names))
        yield name
