"""Features read from the panes of a customer, and from what waits to be put into panes.

What waits goes on waiting: as far as a window reaches back to it, it makes up one pane more. That says the
same as if it were in the panes already, because what they accumulate follows from the set of values. Not so
where a pane is full or near it, and where panes could drop out of reach because something is known of the
time after the moment that is asked about; then a column gets what waits as `features.settle` would do it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypedDict

import msgspec

from operators.features import Columns, Feature, Layouts, Plan, by_slot
from operators.panes import COMPONENTS, LIFETIME, Component, Tier, Values, Waiting, by_pane, fold
from operators.parts import Measured

_typed: Any = TypedDict  # of names that are not known before


class Reading:
    """A column of a slot, and the features that are read from it alone."""

    __slots__ = ("component", "features", "keep", "name", "width")

    def __init__(self, name: str, component: Component, width: int, keep: int) -> None:
        self.name = name
        self.component = component
        self.width = width
        self.keep = keep
        self.features: list[Feature] = []

    def take(self, tier: Tier, waiting: Waiting | None, now: int, found: dict[str, Any]) -> None:
        """Adds to `found` those of which there is something at `now` (ms).

        A window has the values since `now - window`, that moment included, or rather since the first pane
        boundary from there. What is known of the time after `now` is counted too.
        """
        if waiting is not None and not self._fits_beside(tier, waiting, now):
            fold(tier, self.component, by_pane(waiting, self.width, self.keep), self.keep)
            waiting = None
        for feature in self.features:
            first = 0 if self.width == LIFETIME else (now - feature.window - 1) // self.width + 1
            panes = [pane for index, pane in tier.items() if index >= first]
            more: Values | None = waiting
            if waiting is not None and self.width != LIFETIME:
                more = waiting.since(first * self.width)
            if more is not None:
                panes.append(self.component.beside(more.times, more.values))
            if panes:
                found[feature.name] = feature.says.says(panes, feature.scale, now)

    def _fits_beside(self, tier: Tier, waiting: Waiting, now: int) -> bool:
        if self.width != LIFETIME:
            if waiting.last > now:
                return False
            newest = now // self.width
            for index in tier:
                if index > newest:
                    return False
        return self.component.fits_beside(tier, waiting.values)


class Readings:
    """How the aggregates `features` are read, worked out once. `plan` is that of all features."""

    __slots__ = ("_decode", "_layouts", "_open", "_slots")

    def __init__(self, plan: Plan, features: Iterable[Feature]) -> None:
        found: dict[str, dict[str, Reading]] = {}
        self._open: list[Feature] = []
        for feature in features:
            for slot, component, name in feature.reads:
                keep = next(it.keep for it in plan[slot] if it.width == feature.width)
                reading = Reading(name, COMPONENTS[component], feature.width, keep)
                reading = found.setdefault(slot, {}).setdefault(name, reading)
            if len(feature.reads) == 1:
                reading.features.append(feature)
            else:
                self._open.append(feature)
        self._decode = _decoder(found, len(plan), bytes)
        self._slots = [
            (slot, _decoder(columns, sum(len(it.columns) for it in plan[slot]), Tier), [*columns.values()])
            for slot, columns in found.items()
        ]
        self._layouts = Layouts(found)

    def take(self, measured: Measured, now: int, found: dict[str, Any]) -> None:
        """Adds to `found` the features of which there is something at `now` (ms)."""
        packed: bytes = measured.panes
        panes: dict[str, bytes] = self._decode(packed) if packed else {}
        waiting = by_slot(measured, self._layouts)
        keys: dict[str, Tier] = {}
        for slot, decode, readings in self._slots:
            raw, more = panes.get(slot), waiting.get(slot)
            if raw is None and more is None:
                continue
            columns: Columns = {} if raw is None else decode(raw)
            for reading in readings:
                tier = columns.get(reading.name, {})
                reading.take(tier, more, now, found)
                if not reading.features:
                    keys[slot] = tier
        for feature in self._open:
            opened, closed = [keys.get(slot, {}) for slot, _, _ in feature.reads]
            if opened:
                found[feature.name] = feature.says.says([*opened.values(), *closed.values()], 1, now)


def _decoder(names: Collection[str], among: int, kind: Any) -> Callable[[bytes], dict[str, Any]]:
    """Of a map of texts to `kind` with about `among` keys, gives those that are `names`, and may give others.
    What is skipped takes a tenth of the time of what is decoded."""
    if 2 * len(names) > among:
        return msgspec.msgpack.Decoder(dict[str, kind]).decode
    return msgspec.msgpack.Decoder(_typed("Some", dict.fromkeys(names, kind), total=False)).decode
