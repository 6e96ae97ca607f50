"""The features of a customer at a moment: aggregates read from panes, what is derived from them, and what
their last score said."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from operators import features, told
from operators.expressions import Expression
from operators.features import CLOSES, Columns, Feature
from operators.playbook import Playbook
from operators.records import Record


def feature_values(playbook: Playbook, record: Record, names: Collection[str], now: int) -> dict[str, Any]:
    """The features `names` of the playbook for this customer at `now` (ms), in that order."""
    known = playbook.features
    slots: set[str] = set()
    _needed(known, names, slots)
    opened = features.peek(record.part("m"), playbook.plan, slots) if slots and record.has("m") else {}
    found: dict[str, Any] = dict.fromkeys(playbook.hidden) if playbook.hidden else {}
    _read(playbook, record, names, opened, found, now)
    return {name: found[name] for name in names}


def _needed(known: Mapping[str, Feature | Expression], names: Collection[str], slots: set[str]) -> None:
    for name in names:
        feature = known.get(name)
        if isinstance(feature, Expression):
            _needed(known, feature.names, slots)
        elif feature is not None:
            slots.add(feature.slot)
            if feature.aggregate == "open":
                slots.add(CLOSES + feature.slot)


def _read(
    playbook: Playbook,
    record: Record,
    names: Collection[str],
    opened: Mapping[str, Columns],
    found: dict[str, Any],
    now: int,
) -> None:
    known = playbook.features
    for name in names:
        if name in found:
            continue
        feature = known.get(name)
        if isinstance(feature, Expression):
            _read(playbook, record, feature.names, opened, found, now)
            found[name] = feature.value(found)
            continue
        if feature is None:
            found[name] = told.says(told.newest(playbook.foretold, record, told.OF[name], now), name)
            continue
        columns = features.columns_of(opened, feature.slot)
        found[name] = features.value(columns, feature, now) if columns else feature.nothing
