"""The features of a customer at a moment: aggregates read from panes, and what is derived from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from operators import features
from operators.expressions import Expression
from operators.features import Columns, Feature
from operators.playbook import Playbook
from operators.records import Record


def feature_values(playbook: Playbook, record: Record, names: Collection[str], now: int) -> dict[str, Any]:
    """The features `names` of the playbook for this customer at `now` (ms), in that order."""
    panes = features.settle(record.part("m"), playbook.plan) if record.has("m") else {}
    opened: dict[str, Columns] = {}
    found: dict[str, Any] = {}
    return {name: _value(playbook.features, name, panes, opened, found, now) for name in names}


def _value(
    known: Mapping[str, Feature | Expression],
    name: str,
    panes: dict[str, bytes],
    opened: dict[str, Columns],
    found: dict[str, Any],
    now: int,
) -> Any:
    if name not in found:
        feature = known[name]
        if isinstance(feature, Expression):
            facts = {inner: _value(known, inner, panes, opened, found, now) for inner in feature.names}
            found[name] = feature.value(facts)
        else:
            columns = opened.get(feature.slot)
            if columns is None:
                columns = opened[feature.slot] = features.columns_of(panes, feature.slot)
            found[name] = features.value(columns, feature, now)
    return found[name]
