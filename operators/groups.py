"""Which identifiers are connected, by being seen together on events: everybody who may be one person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Groups:
    """Disjoint sets (Tarjan, 1975, with path halving).

    >>> groups = Groups()
    >>> groups.join(["a", "b"]); groups.join(["c"]); groups.join(["b", "d"])
    >>> groups.of("a") == groups.of("d"), groups.of("a") == groups.of("c")
    (True, False)
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._parents: list[int] = []

    def join(self, keys: Iterable[str]) -> None:
        first = -1
        for key in keys:
            number = self._numbers.get(key)
            if number is None:
                number = self._numbers[key] = len(self._parents)
                self._parents.append(number)
            if first < 0:
                first = number
            else:
                one, other = self._root(first), self._root(number)
                if one != other:
                    self._parents[max(one, other)] = min(one, other)

    def of(self, key: str) -> int:
        """The number of the group of a key; -1 when it was never seen."""
        number = self._numbers.get(key)
        return -1 if number is None else self._root(number)

    def __iter__(self) -> Iterator[str]:
        """All keys."""
        return iter(self._numbers)

    def _root(self, number: int) -> int:
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number
