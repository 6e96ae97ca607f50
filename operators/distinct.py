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
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final

EXACT: Final = 64
P: Final = 10
_M: Final = 1 << P
_Q: Final = 64 - P
_RANKS: Final = [bytes([rank]) for rank in range(_Q + 2)]

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


def count(sets: Sequence[Set | set[Value]]) -> int:
    """The number of different values in all of `sets` together: exact when none is a sketch."""
    if len(sets) == 1 and not isinstance(sets[0], bytes):
        return len(sets[0])
    few: set[Value] = set()
    registers = b""
    for seen in sets:
        if not isinstance(seen, bytes):
            few.update(seen)
        else:
            registers = bytes(map(max, registers, seen)) if registers else seen
    if not registers:
        return len(few)
    if few:
        both = bytearray(registers)
        _enter(both, few)
        registers = bytes(both)
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


@lru_cache(maxsize=16_384)  # customers look at the same products: a twentieth of the time
def _rank(value: Value) -> tuple[int, int]:
    """Register, and the number of leading zeros of the rest of the hash plus one."""
    text = value if isinstance(value, str) else str(value)
    hashed = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
    return hashed >> _Q, _Q - (hashed & ((1 << _Q) - 1)).bit_length() + 1


def _estimate(registers: bytes) -> float:
    counts: list[int] = []
    left = registers
    while left:  # what was counted is taken out: high ranks are rare; a Counter of them all takes 64 µs
        rest = left.translate(None, _RANKS[len(counts)])
        counts.append(len(left) - len(rest))
        left = rest
    z = _M * _tau(1 - counts.pop() / _M) if len(counts) == _Q + 2 else 0.0
    while len(counts) > 1:
        z = 0.5 * (z + counts.pop())
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
