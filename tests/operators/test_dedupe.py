"""Which messages have come already, and which ids were used twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from operators import dedupe
from operators.dedupe import NEW, OTHER, SAME, Seen
from tests.properties.logs import law

DAY = 86_400_000
messages = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(0, 90)), max_size=8)


def note(seen: Seen, payload: int, at: int, now: int = -1, id: int = 7) -> int:
    return dedupe.note(seen, id, payload, at, now, DAY)


def seen_of(given: list[tuple[int, int, int]]) -> Seen:
    seen: Seen = {}
    for id, payload, second in given:
        note(seen, payload, second * 1000, id=id)
    return seen


def test_the_same_again_is_the_same_and_another_payload_is_another() -> None:
    seen: Seen = {}
    assert [note(seen, payload, 1000) for payload in (1, 1, 2, 3, 1, 2, 3)] == [
        NEW, SAME, OTHER, OTHER, SAME, SAME, SAME,
    ]  # fmt: skip


def test_the_window_begins_when_the_message_came_not_when_it_happened() -> None:
    """Told a year late, delivered twice within the window."""
    seen: Seen = {}
    assert note(seen, 1, at=0, now=365 * DAY) == NEW
    assert note(seen, 1, at=0, now=366 * DAY) == SAME
    assert note(seen, 1, at=0, now=366 * DAY + 1000) == NEW


def test_what_is_past_the_window_is_forgotten() -> None:
    seen: Seen = {}
    for id in range(1000):
        note(seen, 1, at=id * DAY // 50, now=id * DAY // 50, id=id)
    assert len(seen) < 50 + 64


@law
@given(messages, messages, messages)
def test_merging_is_commutative_and_associative_and_loses_no_payload(
    one: list[tuple[int, int, int]], two: list[tuple[int, int, int]], three: list[tuple[int, int, int]]
) -> None:
    left, right = seen_of(one), seen_of(three)
    dedupe.merge(left, seen_of(two))
    dedupe.merge(left, seen_of(three))
    dedupe.merge(right, seen_of(two))
    dedupe.merge(right, seen_of(one))
    assert left == right
    for id, payload, second in one + two + three:
        assert note(left, payload, second * 1000, id=id) == SAME
