"""Amounts as exact integers."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.money import exact, millionths, minor_units
from tests.properties.logs import law


def test_money_has_the_minor_units_of_its_currency() -> None:
    assert minor_units(19.99, "EUR") == 1999
    assert minor_units(500, "JPY") == 500
    assert minor_units(1.234, "KWD") == 1234


def test_a_tenth_ten_times_is_one() -> None:
    assert sum(minor_units(0.1, "USD") for _ in range(10)) == minor_units(1, "USD")
    assert millionths(0.1) + millionths(0.2) == millionths(0.3)


@law
@given(st.integers(0, 10**12))
def test_every_amount_in_cents_survives_the_way_through_a_decimal_number(cents: int) -> None:
    assert minor_units(cents / 100, "USD") == cents


@law
@given(
    st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9) | st.integers(-(10**9), 10**9).map(lambda it: it / 2)
)
def test_an_amount_is_rounded_as_round_does(amount: float) -> None:
    assert exact(amount, 100) == round(amount * 100)
    assert exact(amount, 1) == round(amount)


@pytest.mark.parametrize("wrong", ["12", None, True, [1], float("nan"), float("inf"), -float("inf"), 1e300])
def test_what_is_no_amount_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"number|range"):
        minor_units(wrong, "USD")
    with pytest.raises(ValueError, match=r"number|range"):
        millionths(wrong)


@pytest.mark.parametrize("most", [1e15, 9.99e14, 1e12, 1e9])
def test_what_is_accepted_can_be_stored(most: float) -> None:
    for convert in (millionths, lambda number: minor_units(number, "KWD")):
        try:
            amount = convert(most)
        except ValueError:
            continue
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(1000 * amount)) == 1000 * amount
