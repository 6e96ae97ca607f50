"""What is let through before msgspec has looked at it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from operators.checks import EXACT, Check
from schemas.inbound import PROPERTIES

VIEW = {"product_id": "sku-1", "category": "shoes", "price": 35.79, "currency": "USD", "quantity": 1}
VALUES: list[Any] = [
    None, True, "", "x", "x" * 512, "x" * 513, "é" * 512, "\N{SNOWMAN}" * 513, "USD", "usd", "1", -1, 0, 1, 2,
    10**9, 10**9 + 1, EXACT, -EXACT, EXACT + 1, 10**400, -1.5, -1.0, 0.0, 1.0, 35.79, 1e300, float("inf"),
    float("nan"), [], {}, ["x"], {"x": 1},
]  # fmt: skip


def right(properties: dict[str, Any], contract: type[msgspec.Struct]) -> bool:
    try:
        msgspec.convert(properties, contract)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize("contract", dict.fromkeys(PROPERTIES.values()))
def test_what_passes_is_right_by_the_contract(contract: type[msgspec.Struct]) -> None:
    check, fields = Check(contract), msgspec.structs.fields(contract)
    required = {
        it.encode_name: {"total": 1.0, "granted": True}.get(it.name, "x") for it in fields if it.required
    }
    assert right(required, contract)
    for name in ("colour", *(it.encode_name for it in fields)):
        for value in VALUES:
            properties = {**required, name: value}
            assert right(properties, contract) or not check.passes(properties), (name, value)
    for name in required:
        assert not check.passes({it: value for it, value in required.items() if it != name})


@pytest.mark.parametrize("event", ["Order Completed", "Product List Viewed"])
def test_lines_that_pass_are_right_by_the_contract(event: str) -> None:
    contract = PROPERTIES[event]
    check = Check(contract)
    for name in (*VIEW, "colour"):
        for value in VALUES:
            for lines in ([{**VIEW, name: value}], [VIEW, {**VIEW, name: value}], [{name: value}], [value]):
                order = {"order_id": "o-1", "products": lines}
                assert right(order, contract) or not check.passes(order), (name, value)


def test_an_event_as_most_are_passes() -> None:
    assert Check(PROPERTIES["Product Viewed"]).passes({**VIEW, "brand": None, "colour": ["red"]})
    order = {"order_id": "o-1", "total": 71.58, "products": [VIEW, VIEW]}
    assert Check(PROPERTIES["Order Completed"]).passes(order)
    assert not Check(PROPERTIES["Order Completed"]).passes({**order, "products": [VIEW, {"price": 1}]})
