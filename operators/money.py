"""Amounts as exact integers: money in minor units (ISO 4217), other numbers in millionths."""

from __future__ import annotations

from typing import Any

from schemas.currency import digits

MILLION = 1_000_000
MOST = 10**15
REMEMBERED = 20_000  # amounts


def currency_code(raw: Any) -> Any:
    """A code as people write it; what is no text stays as it is, to be refused.

    >>> currency_code(" usd")
    'USD'
    """
    return raw.strip().upper() if type(raw) is str else raw


def minor_units(amount: Any, currency: str) -> int:
    """`amount` in major units as an integer of minor units. Raises ValueError.

    >>> minor_units(35.79, "USD"), minor_units(1200, "JPY")
    (3579, 1200)
    """
    return _exact(amount, 10 ** digits(currency))


class MinorUnits:
    """`minor_units` of one currency. Prices come again and again, so what they are is remembered
    (0.1 instead of 0.7 µs).

    >>> cents = MinorUnits("USD")
    >>> cents(35.79)
    3579
    """

    def __init__(self, currency: str) -> None:
        self._unit = 10 ** digits(currency)
        self._known: dict[float, int] = {}

    def __call__(self, amount: Any) -> int:
        """Raises ValueError."""
        if type(amount) is not float:
            return _exact(amount, self._unit)
        found = self._known.get(amount)
        if found is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            found = self._known[amount] = _exact(amount, self._unit)
        return found


def millionths(number: Any) -> int:
    """A number as an integer of millionths. Raises ValueError."""
    return _exact(number, MILLION)


def _exact(number: Any, unit: int) -> int:
    if type(number) not in (int, float):
        raise ValueError(f"expected a number, got {type(number).__name__} {number!r:.40}")
    # A thousand of the largest still fit the 64 bits that state keeps of an integer.
    if not -MOST < number * unit < MOST:
        raise ValueError(f"{number!r} is out of range")
    exact: int = round(number * unit)
    return exact
