"""Paths into the properties of an event."""

from __future__ import annotations

from typing import Any

import pytest

from operators.paths import compile_path


@pytest.mark.parametrize(
    ("path", "properties", "found"),
    [
        ("properties.total", {"total": 5}, [5]),
        ("properties.total", {}, []),
        ("properties.store.id", {"store": {"id": "s1"}}, ["s1"]),
        ("properties.tags[]", {"tags": ["a", "b"]}, ["a", "b"]),
        (
            "properties.products[].id",
            {"products": [{"id": "p1"}, {}, {"id": None}, {"id": "p2"}]},
            ["p1", "p2"],
        ),
        ("properties.products[].id", {"products": []}, []),
        ("properties.cart.products[].id", {"cart": {"products": [{"id": "p1"}]}}, ["p1"]),
        (
            "properties.boxes[].lines[].id",
            {"boxes": [{"lines": [{"id": 1}]}, {"lines": [{"id": 2}]}]},
            [1, 2],
        ),
    ],
)
def test_what_lies_at_a_path_is_listed(path: str, properties: dict[str, Any], found: list[Any]) -> None:
    assert compile_path(path)(properties) == found


@pytest.mark.parametrize("products", [None, 5, "p1", {"id": "p1"}, [5, "p1", ["p1"], None]])
def test_what_is_not_a_list_of_things_has_nothing_at_the_path(products: Any) -> None:
    assert compile_path("properties.products[].id")({"products": products}) == []
    assert compile_path("properties.cart.products[].id")({"cart": {"products": products}}) == []
