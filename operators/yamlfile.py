"""YAML with line numbers, so that a mistake can be shown where it is."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.composer import Composer
from yaml.resolver import Resolver

if yaml.__with_libyaml__:
    from yaml._yaml import CParser


class Located(dict[str, Any]):
    """A mapping that knows the line of each of its keys (`lines`) and its own (`line`). `twice`: line
    and path of every key in it and below that was there before; the first one counts."""

    line: int = 1
    lines: dict[str, int]
    twice: list[tuple[int, str]]


class Items(list[Any]):
    """A list that knows the line of each of its items."""

    lines: list[int]


if yaml.__with_libyaml__:

    class _Quick(Composer, CParser, Resolver):
        """PyYAML's composer on libyaml's events: the one that comes with them would end the process when
        lists are nested too deeply."""

        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            Composer.__init__(self)
            Resolver.__init__(self)


class BadYaml(ValueError):
    """The file is not YAML or its top level is not a mapping."""


def load(text: str) -> Located:
    """The document's top mapping. Raises BadYaml with line and column."""
    try:
        node = _composed(text)
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


def _composed(text: str) -> yaml.Node | None:
    """Read by libyaml, where PyYAML was built with it: that takes a fifth of the time. What is wrong,
    PyYAML's own parser says better."""
    if yaml.__with_libyaml__:
        try:
            return _Quick(text).get_single_node()
        except (yaml.YAMLError, UnicodeError):
            pass
    return yaml.compose(text, Loader=yaml.SafeLoader)


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
