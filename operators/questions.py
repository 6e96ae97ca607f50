"""Which features are asked for together, and in which order they are found; worked out once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from operators import told
from operators.expressions import Expression
from operators.features import Feature, Plan
from operators.readings import Readings


class Question:
    """`readings` are of aggregates, `said` (name, subject) by the scores of subjects, `derived` from others,
    first those that others follow from. `nothing` has what is said where nothing is known: of the features
    asked for, in their order, and if there are `more`, of what they follow from."""

    __slots__ = ("derived", "more", "nothing", "readings", "said")

    def __init__(
        self,
        readings: Readings | None,
        said: list[tuple[str, str]],
        derived: list[tuple[str, Expression]],
        nothing: dict[str, Any],
        more: bool,
    ) -> None:
        self.readings = readings
        self.said = said
        self.derived = derived
        self.nothing = nothing
        self.more = more


def question_of(known: Mapping[str, Feature | Expression], plan: Plan, names: Collection[str]) -> Question:
    """What has to be found for the features `names`; `plan` is that of all that are `known`."""
    every = [*dict.fromkeys(_with_roots(known, names))]
    aggregates = [it for name in every if isinstance(it := known.get(name), Feature)]
    nothing: dict[str, Any] = dict.fromkeys([*names, *every])
    return Question(
        Readings(plan, aggregates) if aggregates else None,
        [(name, told.OF[name]) for name in every if name not in known],
        [(name, it) for name in every if isinstance(it := known.get(name), Expression)],
        nothing | {feature.name: feature.says.nothing for feature in aggregates},
        len(nothing) > len({*names}),
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
