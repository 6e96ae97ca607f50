"""Amounts as exact integers: money in minor units (ISO 4217), other numbers in millionths."""

from __future__ import annotations

from math import floor
from typing import Any, Final

from schemas.currency import digits

MILLION: Final = 1_000_000
MOST: Final = 1_000_000_000_000_000  # a thousand of it still fit the 64 bits that state keeps of an integer


def currency_code(raw: Any) -> Any:
    """A code as people write it; what is no text stays as it is, to be refused.

    >>> currency_code(" usd")
    'USD'
    """
    return raw.strip().upper() if type(raw) is str else raw


def unit(currency: str) -> int:
    """How many minor units one has.

    >>> unit("USD"), unit("JPY")
    (100, 1)
    """
    return int(10 ** digits(currency))


def minor_units(amount: Any, currency: str) -> int:
    """`amount` in major units as an integer of minor units. Raises ValueError.

    >>> minor_units(35.79, "USD"), minor_units(1200, "JPY")
    (3579, 1200)
    """
    return exact(amount, unit(currency))


def millionths(number: Any) -> int:
    """A number as an integer of millionths. Raises ValueError."""
    return exact(number, MILLION)


def exact(number: Any, parts: int) -> int:
    """How many `parts` of one `number` has, rounded as round() does. Raises ValueError."""
    if type(number) is float:
        found: float = number * parts
        if -MOST < found < MOST:
            low = floor(found)
            rest = found - low
            if rest != 0.5:  # nearly always; round() takes several times as long
                return low + 1 if rest > 0.5 else low
            return round(found)
    elif type(number) is not int:
        raise ValueError(f"expected a number, got {type(number).__name__} {number!r:.40}")
    elif -MOST < number * parts < MOST:
        return number * parts
    raise ValueError(f"{number!r} is out of range")
