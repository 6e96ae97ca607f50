"""YAML with line numbers, so that a mistake can be shown where it is."""

from __future__ import annotations

from typing import Any

import yaml


class Located(dict[str, Any]):
    """A mapping that knows the line of each of its keys (`lines`) and its own (`line`). `twice`: line
    and path of every key in it and below that was there before; the first one counts."""

    line: int = 1
    lines: dict[str, int]
    twice: list[tuple[int, str]]


class Items(list[Any]):
    """A list that knows the line of each of its items."""

    lines: list[int]


class BadYaml(ValueError):
    """The file is not YAML or its top level is not a mapping."""


def load(text: str) -> Located:
    """The document's top mapping. Raises BadYaml with line and column."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise BadYaml("line 1: a playbook is a mapping of sections such as scope, sources and triggers")
        twice: list[tuple[int, str]] = []
        value = _build(node, yaml.SafeLoader(""), (), "", twice)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise BadYaml(f"{where}not YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BadYaml(f"line {line}: not YAML: {error.reason}") from None
    assert isinstance(value, Located)
    value.twice = twice
    return value


def _build(
    node: yaml.Node, loader: Any, inside: tuple[yaml.Node, ...], path: str, twice: list[tuple[int, str]]
) -> Any:
    if node in inside:
        raise BadYaml(f"line {node.start_mark.line + 1}: an alias stands inside what it names")
    inside = *inside, node
    if isinstance(node, yaml.MappingNode):
        found = Located()
        found.line = node.start_mark.line + 1
        found.lines = {}
        for key, value in node.value:
            # As written: YAML 1.1 would make `on` and `no` booleans.
            name = str(key.value)
            where = f"{path}.{name}" if path else name
            if name in found:
                twice.append((key.start_mark.line + 1, where))
                continue
            found[name] = _build(value, loader, inside, where, twice)
            found.lines[name] = key.start_mark.line + 1
        return found
    if isinstance(node, yaml.SequenceNode):
        items = Items(
            _build(item, loader, inside, f"{path}[{i}]", twice) for i, item in enumerate(node.value)
        )
        items.lines = [item.start_mark.line + 1 for item in node.value]
        return items
    try:
        return loader.construct_object(node)
    except ValueError as error:  # a date that does not exist
        raise BadYaml(f"line {node.start_mark.line + 1}: {error}") from None
