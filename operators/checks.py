"""Whether properties are as their contract has them, asked before msgspec is.

Nearly every property is a short text or a number that is right, or a list of products that are. To see that
takes a fifth of what converting to the contract takes, which is left for all else: it alone says what is
wrong.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec
from msgspec import inspect

EXACT: Final = 9_007_199_254_740_992  # numbers up to it are exact as an int and as a float


class _Field:
    """What is surely right for one property: a text of `shortest` to `longest` letters, or if there are
    `words` one of those; a number from `least` to `most`, a whole one unless `fraction`; a list of what
    passes `items`; None if `empty`."""

    def __init__(self, field: inspect.Field) -> None:
        self.required = field.required
        self.shortest, self.longest = 1, 0
        self.words: frozenset[Any] | None = None
        self.least, self.most = 1.0, 0.0
        self.fraction = False
        self.empty = False
        self.items: Check | None = None
        for kind in field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,):
            if isinstance(kind, inspect.StrType) and kind.pattern is None:
                self.shortest = kind.min_length or 0
                self.longest = 1 << 60 if kind.max_length is None else kind.max_length
            elif isinstance(kind, inspect.LiteralType):
                self.words = frozenset(kind.values)
            elif isinstance(kind, inspect.IntType | inspect.FloatType):
                if kind.gt is None and kind.lt is None and kind.multiple_of is None:
                    self.least = float(-EXACT if kind.ge is None else kind.ge)
                    self.most = float(EXACT if kind.le is None else kind.le)
                    self.fraction = isinstance(kind, inspect.FloatType)
            elif isinstance(kind, inspect.ListType) and isinstance(kind.item_type, inspect.StructType):
                if kind.min_length is None and kind.max_length is None:
                    self.items = check_of(kind.item_type.cls)
            elif isinstance(kind, inspect.NoneType):
                self.empty = True


@cache
def check_of(contract: type[msgspec.Struct]) -> Check:
    """Its check, made once: that takes half a millisecond."""
    return Check(contract)


class Check:
    """What is surely right by a contract.

    >>> from schemas.commerce import ProductReviewed
    >>> check = Check(ProductReviewed)
    >>> check.passes({"product_id": "p1", "rating": 4.5}), check.passes({"product_id": ""})
    (True, False)
    """

    def __init__(self, contract: type[msgspec.Struct]) -> None:
        described = inspect.type_info(contract)
        assert isinstance(described, inspect.StructType)
        self._fields = {it.encode_name: _Field(it) for it in described.fields}
        self._required = sum(it.required for it in described.fields)

    def passes(self, properties: dict[str, Any]) -> bool:
        """False: msgspec has to say whether it is right."""
        fields, missing = self._fields, self._required
        for name, value in properties.items():
            field = fields.get(name)
            if field is None:
                continue
            if field.required:
                missing -= 1
            if type(value) is str:
                if field.words is not None:
                    if value not in field.words:
                        return False
                elif not field.shortest <= len(value) <= field.longest:
                    return False
            elif type(value) is float:
                if not field.fraction or not field.least <= value <= field.most:
                    return False
            elif type(value) is int:
                if not -EXACT <= value <= EXACT or not field.least <= value <= field.most:
                    return False
            elif type(value) is list:
                if field.items is None or not field.items.all_pass(value):
                    return False
            elif value is not None or not field.empty:
                return False
        return missing == 0

    def all_pass(self, items: list[Any]) -> bool:
        return all(type(item) is dict and self.passes(item) for item in items)
