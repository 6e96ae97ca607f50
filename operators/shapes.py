"""Fitting what a playbook says into the shape it must have; every misfit is told, not only the first.

What does not fit is left out, so that the rest can be looked at for other mistakes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from operators.hints import near, nearest
from operators.yamlfile import Items, Located


class Mistake(NamedTuple):
    line: int
    path: str
    problem: str


class Misfit(ValueError):
    """Nothing can be made of the value; what is wrong with it has been told."""


Tell = Callable[[int, str, str], None]  # line, path, problem

_WORDS = {
    "str": "text", "int": "a whole number", "float": "a number", "bool": "true or false",
    "object": "a mapping", "array": "a list", "null": "nothing",
}  # fmt: skip


def fit(value: Any, kind: Any, path: str, line: int, tell: Tell) -> Any:
    """`value` as `kind`: a Struct, list, dict, Literal, a union of one of them with None, or anything
    msgspec converts. Calls `tell` for everything that is wrong; raises Misfit when nothing is left."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None and NoneType in inner:
            return None
        rest = [one for one in inner if one is not NoneType]
        if len(rest) == 1:
            return fit(value, rest[0], path, line, tell)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        return _fit_struct(value, kind, path, line, tell)
    if origin is Literal:
        if value not in inner:
            known = [str(one) for one in inner]
            tell(line, path, f"unknown {value!r}{near(str(value), known)}; one of {', '.join(known)}")
            meant = nearest(str(value), known)
            if meant is None:
                raise Misfit
            return meant  # to look at the rest
        return value
    if origin is list and isinstance(value, list):
        lines = value.lines if isinstance(value, Items) else [line] * len(value)
        return list(_each((one, inner[0], f"{path}[{i}]", lines[i], tell) for i, one in enumerate(value)))
    if origin is dict and isinstance(value, Located):
        return {
            key: fitted
            for key, one in value.items()
            for fitted in _each([(one, inner[1], f"{path}.{key}", value.lines[key], tell)])
        }
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        tell(line, path, _plain(str(error)))
        raise Misfit from None


def _fit_struct(
    value: dict[str, Any], kind: type[msgspec.Struct], path: str, line: int, tell: Tell
) -> msgspec.Struct:
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    lines = value.lines if isinstance(value, Located) else {}
    found: dict[str, Any] = {}
    for key, item in value.items():
        at = lines.get(key, line)
        if key not in fields:
            tell(at, f"{path}.{key}", f"unknown key{near(key, fields)}")
            continue
        try:
            found[key] = fit(item, fields[key].type, f"{path}.{key}", at, tell)
        except Misfit:
            pass
    for name, field in fields.items():
        if field.required and name not in found:
            if name not in value:
                tell(line, f"{path}.{name}", "is missing")
            empty = get_origin(field.type) or field.type
            if empty not in (str, list):
                raise Misfit
            found[name] = empty()
    return kind(**found)


def _each(items: Iterable[tuple[Any, Any, str, int, Tell]]) -> Iterator[Any]:
    for item in items:
        try:
            yield fit(*item)
        except Misfit:
            pass


def _plain(said: str) -> str:
    """msgspec's words in those of somebody who writes YAML.

    >>> _plain("Expected `int`, got `str`")
    'expected a whole number, got text'
    """
    said = re.sub(r" - at `.*`$", "", said, flags=re.S)
    said = re.sub(r"`(\w+)`", lambda found: _WORDS.get(found[1], found[0]), said)
    return said[:1].lower() + said[1:]
