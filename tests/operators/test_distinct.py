"""Counting different values."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from operators import distinct
from operators.distinct import EXACT
from tests.properties.logs import law


def values(count: int, start: int = 0) -> list[str]:
    return [f"value-{number}" for number in range(start, start + count)]


def test_few_values_are_counted_exactly() -> None:
    for count in range(EXACT + 1):
        assert distinct.count([distinct.add(None, values(count) * 2)]) == count


def test_exact_sets_together_are_exact_even_when_they_are_many() -> None:
    sets = [distinct.add(None, values(50, start)) for start in range(0, 1000, 40)]
    assert distinct.count(sets) == 1010


def test_many_values_are_estimated_within_a_few_standard_errors() -> None:
    for count in (65, 100, 300, 1_000, 3_000, 10_000, 100_000):
        found = distinct.count([distinct.add(None, values(count))])
        assert abs(found / count - 1) < 3.5 * 0.0325, (count, found)


def test_the_standard_error_is_as_stated() -> None:
    errors = [
        distinct.count([distinct.add(None, values(2_000, start))]) / 2_000 - 1
        for start in range(0, 200_000, 2_000)
    ]
    assert (sum(error**2 for error in errors) / len(errors)) ** 0.5 < 0.04
    assert abs(sum(errors) / len(errors)) < 0.015


def test_a_value_is_found_again_whether_it_is_told_as_a_number_or_as_text() -> None:
    texts = distinct.add(None, [str(number) for number in range(100)])
    assert distinct.add(None, range(100)) == texts


def test_values_beside_a_sketch_are_counted_as_if_they_were_in_it() -> None:
    sketch, more = distinct.add(None, values(100)), values(30, 90)
    assert distinct.count([sketch, {*more}]) == distinct.count([distinct.add(sketch, more)])
    assert distinct.count([sketch, more]) == distinct.count([sketch, distinct.add(None, more)])


@law
@given(st.lists(st.integers(0, 55), max_size=1024))
def test_an_estimate_is_the_same_by_the_formula_as_published(some: list[int]) -> None:
    registers = bytes(some).ljust(1024, b"\1")
    counts = [some.count(rank) + (1024 - len(some)) * (rank == 1) for rank in range(56)]
    z = 1024 * distinct._tau(1 - counts[55] / 1024)
    for rank in range(54, 0, -1):
        z = 0.5 * (z + counts[rank])
    z += 1024 * distinct._sigma(counts[0] / 1024)
    assert distinct._estimate(registers) == 1024 * 1024 / (2 * math.log(2) * z)


@law
@given(
    st.lists(st.integers(0, 150).map(str), max_size=200),
    st.lists(st.integers(0, 200), min_size=2, max_size=4),
    st.randoms(use_true_random=False),
)
def test_a_set_is_the_same_bytes_however_it_came_about(
    of: list[str], cuts: list[int], random: object
) -> None:
    together = distinct.add(None, of)
    one_by_one: distinct.Set = []
    shuffled = list(of)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for value in shuffled:
        one_by_one = distinct.add(one_by_one, [value])
    assert one_by_one == together
    merged: distinct.Set = []
    for start, end in pairwise([0, *sorted(cuts), len(of)]):
        merged = distinct.union(distinct.add(None, of[start:end]), merged)
    assert merged == together
    assert distinct.count([together, one_by_one, merged]) == distinct.count([together])
