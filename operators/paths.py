"""Paths into a decoded event: `properties.product_id`, `properties.products[].product_id`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from operators.hints import near

Getter = Callable[[dict[str, Any]], list[Any]]


def field_of(path: str) -> str:
    """The property that `path` is, if it is just one; else an empty string.

    >>> field_of("properties.total"), field_of("properties.products[].price")
    ('total', '')
    """
    scope, _, rest = path.partition(".")
    return rest if scope == "properties" and "." not in rest and not rest.endswith("[]") else ""


def compile_path(path: str) -> Getter:
    """A function that lists the values at `path`; what is missing gives an empty list.

    >>> compile_path("properties.products[].product_id")({"products": [{"product_id": "p1"}, {}]})
    ['p1']

    Only properties can be addressed. Raises ValueError.
    """
    steps = path.split(".")
    if steps[0] != "properties" or len(steps) < 2 or not all(step.removesuffix("[]") for step in steps):
        raise ValueError(f"{path!r} is not a path; {_meant(steps)}")
    if len(steps) == 2 and not steps[1].endswith("[]"):
        name = steps[1]

        def one(properties: dict[str, Any]) -> list[Any]:
            value = properties.get(name)
            return [] if value is None else [value]

        return one

    names = [(step.removesuffix("[]"), step.endswith("[]")) for step in steps[1:]]
    if [each for _, each in names] == [True, False]:  # of an order, nearly always
        (list_name, _), (name, _) = names

        def of_items(properties: dict[str, Any]) -> list[Any]:
            items = properties.get(list_name)
            if type(items) is not list:
                return []
            return [value for item in items if type(item) is dict and (value := item.get(name)) is not None]

        return of_items

    def walk(properties: dict[str, Any]) -> list[Any]:
        found: list[Any] = [properties]
        for name, each in names:
            found = [value for item in found if type(item) is dict and (value := item.get(name)) is not None]
            if each:
                found = found[0] if len(found) == 1 and type(found[0]) is list else _items(found)
        return found

    return walk


def _items(values: list[Any]) -> list[Any]:
    return [item for value in values if type(value) is list for item in value]


def _meant(steps: list[str]) -> str:
    rest = steps[1:] if near(steps[0], ["properties"]) else steps
    if not all(step.removesuffix("[]") for step in rest) or not rest:
        return "write properties.NAME or properties.LIST[].NAME"
    return f"did you mean {'.'.join(['properties', *rest])!r}?"
