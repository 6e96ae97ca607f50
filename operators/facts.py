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
    found: dict[str, Any] = {}
    _read(playbook.features, names, panes, {}, found, now)
    return {name: found[name] for name in names}


def _read(
    known: Mapping[str, Feature | Expression],
    names: Collection[str],
    panes: dict[str, bytes],
    opened: dict[str, Columns],
    found: dict[str, Any],
    now: int,
) -> None:
    for name in names:
        if name in found:
            continue
        feature = known[name]
        if isinstance(feature, Expression):
            _read(known, feature.names, panes, opened, found, now)
            found[name] = feature.value(found)
            continue
        slot = feature.slot
        columns = opened.get(slot)
        if columns is None:
            columns = opened[slot] = features.columns_of(panes, slot)
        found[name] = features.value(columns, feature, now) if columns else feature.nothing
