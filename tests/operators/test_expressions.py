"""Conditions of a playbook."""

from __future__ import annotations

from typing import Any

import pytest

from operators.expressions import Expression

FACTS: dict[str, Any] = {"orders": 2, "value": 50.0, "last": None, "product": "p1"}


def holds(text: str) -> bool:
    return Expression(text, FACTS).test(FACTS)


@pytest.mark.parametrize(
    "text",
    [
        "orders == 2 and value > 49", "not orders > 2", "1 < orders <= 2", "value / orders == 25",
        "product in ('p1', 'p2')", "product not in ['p3']", "last is None", "-orders < 0", "orders % 2 == 0",
        "True",
    ],
)  # fmt: skip
def test_a_condition_that_holds(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text", ["orders > 2", "product == 'p2'", "last == 5", "value < 1 or orders == 0", "None"]
)
def test_a_condition_that_does_not_hold(text: str) -> None:
    assert not holds(text)


def test_comparing_what_is_not_there_is_false_and_no_error() -> None:
    assert not holds("last > 5")
    assert not holds("last + 1 > 5")
    assert not holds("orders == 2 and last > 5")


def test_what_is_not_there_does_not_decide_for_the_rest_of_the_condition() -> None:
    assert holds("last > 5 or orders == 2")


@pytest.mark.parametrize(
    ("text", "amounts_to"),
    [
        ("value / orders", 25.0), ("value / none", None), ("none / value", None), ("value / zero", None),
        ("value / (zero + zero)", None), ("1 / (2 / zero)", None), ("1 / (zero / orders)", None),
        ("value % zero", None), ("value // orders - -1", 26.0), ("product - 1", None), ("5", 5),
    ],
)  # fmt: skip
def test_arithmetic_amounts_to_nothing_where_it_cannot_be_done(text: str, amounts_to: float | None) -> None:
    facts = {**FACTS, "none": None, "zero": 0}
    assert Expression(text, facts).value(facts) == amounts_to


def test_what_is_not_there_may_be_asked_for() -> None:
    assert Expression("last is None or last > 5", FACTS).value(FACTS) is True


def test_other_errors_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        holds("value / 0 > 1")
    with pytest.raises(TypeError):
        holds("product > 5")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')", "orders.real", "[x for x in (1, 2)]", "lambda: 1", "orders ** 99", "orders << 9",
        "(orders := 3)", "f'{orders}'", "{1: 2}", "orders if value else 1", "product[0]",
    ],
)  # fmt: skip
def test_everything_but_plain_conditions_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        Expression(text, FACTS)


def test_a_misspelt_name_is_told_with_what_may_have_been_meant() -> None:
    with pytest.raises(ValueError, match=r"unknown name 'order' .* did you mean 'orders'"):
        Expression("order > 1", FACTS)


def test_what_is_no_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot read the condition"):
        Expression("orders >", FACTS)


def test_a_condition_knows_the_facts_it_reads() -> None:
    assert Expression("orders > 1 and value < 3", FACTS).names == {"orders", "value"}
