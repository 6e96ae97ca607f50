"""Where in a record the features of a changed playbook are counted.

A slot holds the values of a measure, and of them the panes that its features need. A feature that an old
slot cannot serve, because the measure says something else now, or the panes are missing or too few, gets a
new slot beside it, `orders$/2`: generation 2. So what the old slot holds, and rows that still wait for it,
never mix with what is counted anew, and what had happened before can be added to the new one alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from zlib import crc32

import msgspec

from operators import features, yamlfile
from operators.features import Feature
from operators.playbook import Playbook


class Slot(msgspec.Struct):
    """A slot of a measure, whose content `digest` stands for. `columns`: how many panes it keeps of each."""

    generation: int
    digest: str
    columns: dict[str, int]


class Slots(msgspec.Struct):
    """What the records of a scope have been counting without a gap: measure -> its slots, oldest first.

    `generations`: to each that is filled from history the last cut before it (-1: not known yet).
    """

    newest: int = 0
    measures: dict[str, list[Slot]] = {}
    generations: dict[int, int] = {}


decode = msgspec.json.Decoder(Slots).decode
encode = msgspec.json.Encoder().encode


def assign(known: Slots | None, text: str, book: Playbook) -> tuple[Slots, dict[str, int]]:
    """The slots of the playbook `book`, written `text`, on state that has the slots `known`; and feature ->
    generation of those in later slots than the first. To do it again changes nothing."""
    raw = yamlfile.load(text)
    newest = (known.newest if known else 0) + (1 if known else 0)
    before = known.measures if known else {}
    found: dict[str, list[Slot]] = {}
    placed: dict[str, int] = {}
    for name, feature in book.features.items():
        if not isinstance(feature, Feature):
            continue
        measure = next(it for it in book.measures.values() if it.slot == feature.slot)
        digest = _digest(raw["measures"][measure.name], book.currency, str(raw.get("timezone")))
        wanted = dict(_columns(feature))
        generation = next(
            (slot.generation for slot in before.get(measure.name, ()) if _serves(slot, digest, wanted)),
            newest,
        )
        mine = found.setdefault(measure.name, [])
        slot = next((it for it in mine if it.generation == generation), None)
        if slot is None:
            slot = Slot(generation, digest, {})
            mine.append(slot)
            mine.sort(key=lambda it: it.generation)
        for column, keep in wanted.items():
            slot.columns[column] = max(keep, slot.columns.get(column, 0))
        if generation:
            placed[name] = generation
    generations = dict(known.generations) if known else {}
    used = newest in placed.values()
    if used and book.history:
        generations[newest] = -1
    return Slots(newest if used or known is None else known.newest, found, generations), placed


def _serves(slot: Slot, digest: str, wanted: Mapping[str, int]) -> bool:
    return slot.digest == digest and all(slot.columns.get(name, 0) >= keep for name, keep in wanted.items())


def _columns(feature: Feature) -> Iterator[tuple[str, int]]:
    for panes in features.plan([feature]).values():
        for width in panes:
            for column in width.columns:
                yield column.name, width.keep


def _digest(measure: object, currency: str, timezone: str) -> str:
    return f"{crc32(json.dumps([measure, currency, timezone], sort_keys=True, default=str).encode()):08x}"
