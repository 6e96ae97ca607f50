"""How many different values: exact while they are few, then a HyperLogLog sketch.

A set is kept as a sorted list of its values up to `EXACT`, beyond that as 2**P registers. Which of the
two, and every byte of it, depends only on which values were seen: not on their order, on how often, or
on how sets were merged. Registers after P. Flajolet et al., "HyperLogLog" (2007), 64-bit hashes after
S. Heule et al. (2013), the estimator without bias correction tables after O. Ertl, "New cardinality
estimation algorithms for HyperLogLog sketches" (2017), algorithm 6.

Standard error of a sketch: 1.04 / sqrt(2**P), 3.25 %.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from hashlib import blake2b
from typing import Final

EXACT: Final = 64
P: Final = 10
_M: Final = 1 << P
_Q: Final = 64 - P

Value = str | int
Set = list[Value] | bytes


def add(seen: Set | None, values: Collection[Value]) -> Set:
    """`seen` with `values` in it.

    >>> add(["b"], ["a", "b", "a"])
    ['a', 'b']
    """
    if isinstance(seen, bytes):
        registers = bytearray(seen)
        _enter(registers, values)
        return bytes(registers)
    if seen is None and len(values) == 1:
        return [*values]
    both = {*values} if seen is None else {*seen, *values}
    return sorted(both) if len(both) <= EXACT else _sketch(both)


def union(one: Set, other: Set) -> Set:
    """Both together. Neither is changed."""
    if isinstance(one, list):
        return add(other, one)
    if isinstance(other, list):
        return add(one, other)
    return bytes(map(max, one, other))


def count(sets: Iterable[Set]) -> int:
    """The number of different values in all of `sets` together: exact when none is a sketch."""
    lists: set[Value] = set()
    registers = b""
    for seen in sets:
        if isinstance(seen, list):
            lists.update(seen)
        else:
            registers = bytes(map(max, registers, seen)) if registers else seen
    if not registers:
        return len(lists)
    if lists:
        registers = bytes(map(max, registers, _sketch(lists)))
    return round(_estimate(registers))


def _sketch(values: Iterable[Value]) -> bytes:
    registers = bytearray(_M)
    _enter(registers, values)
    return bytes(registers)


def _enter(registers: bytearray, values: Iterable[Value]) -> None:
    for value in values:
        place, rank = _rank(value)
        if registers[place] < rank:
            registers[place] = rank


def _rank(value: Value) -> tuple[int, int]:
    """Register, and the number of leading zeros of the rest of the hash plus one."""
    text = value if isinstance(value, str) else str(value)
    hashed = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
    return hashed >> _Q, _Q - (hashed & ((1 << _Q) - 1)).bit_length() + 1


def _estimate(registers: bytes) -> float:
    counts, counted = [0] * (_Q + 2), 0
    for rank in range(_Q + 2):  # high ranks are rare; a Counter of them all takes 64 µs
        counts[rank] = registers.count(rank)
        counted += counts[rank]
        if counted == _M:
            break
    z = _M * _tau(1 - counts[_Q + 1] / _M)
    for rank in range(_Q, 0, -1):
        z = 0.5 * (z + counts[rank])
    z += _M * _sigma(counts[0] / _M)
    return _M * _M / (2 * math.log(2) * z)


def _sigma(x: float) -> float:
    if x == 1:
        return math.inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x, before = x * x, z
        z, y = z + x * y, y + y
    return z


def _tau(x: float) -> float:
    if x in (0, 1):
        return 0.0
    y, z, before = 1.0, 1 - x, -1.0
    while z != before:
        x, before, y = math.sqrt(x), z, y / 2
        z -= (1 - x) ** 2 * y
    return z / 3
