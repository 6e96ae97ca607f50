"""The nearest valid name, and what in a playbook is allowed but looks like a slip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any, get_args, get_origin

import msgspec

from operators.yamlfile import Items, Located
from schemas.inbound import PROPERTIES, EventType

ALIKE = 0.8  # event names and properties of one's own are common: only what is very near is a slip


def nearest(name: str, known: Iterable[str], alike: float = 0.6) -> str | None:
    plain = {one.casefold(): one for one in known}
    found = get_close_matches(name.casefold(), list(plain), 1, alike)
    return plain[found[0]] if found else None


def near(name: str, known: Iterable[str]) -> str:
    """What may have been meant, as the end of a sentence; empty when nothing is near.

    >>> near("valeu", ["on", "value"])
    "; did you mean 'value'?"
    """
    found = nearest(name, known)
    return f"; did you mean {found!r}?" if found else ""


def slips(raw: Located) -> Iterator[tuple[int, str, str]]:
    """Line, path and words for every event name that is nearly one of the contract, and for every
    property that is nearly one of the events it is read from."""
    for section in ("measures", "triggers", "churn", "intent"):
        yield from _slips(raw.get(section), section, raw.lines.get(section, 1), set())


def _slips(item: Any, path: str, line: int, events: set[str]) -> Iterator[tuple[int, str, str]]:
    if isinstance(item, Located):
        mine = {name for name in _texts(item.get("on")) if name in PROPERTIES} or events
        for key, value in item.items():
            at = item.lines[key]
            if key in ("on", "removes", "rescore") or path == "intent.signals":
                yield from _event_slips(value, f"{path}.{key}", at)
            yield from _slips(value, f"{path}.{key}", at, mine)
    elif isinstance(item, Items):
        for index, value in enumerate(item):
            yield from _slips(value, f"{path}[{index}]", item.lines[index], events)
    elif isinstance(item, str) and item.startswith("properties.") and events:
        known = sorted(set[str]().union(*(_paths(PROPERTIES[name], "properties.") for name in events)))
        if item not in known and (meant := nearest(item, known, ALIKE)):
            yield line, path, f"{item!r} is no property of the contract; did you mean {meant!r}?"


def _event_slips(value: Any, path: str, line: int) -> Iterator[tuple[int, str, str]]:
    known = (*PROPERTIES, *get_args(EventType))
    lines = value.lines if isinstance(value, Items) else [line]
    for name, at in zip(_texts(value), lines, strict=False):
        if name not in known and (meant := nearest(name, known, ALIKE)):
            yield at, path, f"{name!r} is no event of the contract; did you mean {meant!r}?"


def _texts(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


def _paths(kind: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    """Every path into a contract's properties."""
    for field in msgspec.structs.fields(kind):
        yield prefix + field.name
        for inner, step in _structs(field.type, ""):
            yield from _paths(inner, f"{prefix}{field.name}{step}.")


def _structs(kind: Any, step: str) -> Iterator[tuple[type[msgspec.Struct], str]]:
    """The structs in a type, `[]` behind those of a list."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind, step
    for inner in get_args(kind):
        yield from _structs(inner, "[]" if get_origin(kind) is list else step)
