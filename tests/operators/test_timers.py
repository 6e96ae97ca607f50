"""Alarms in event time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.timers import MOST_READ, SPAN, Alarm, Timers
from tests.properties.logs import law


def timers(stored: list[Alarm] | None = None) -> Timers:
    return Timers(lambda low, high: [alarm for alarm in stored or [] if low <= alarm[0] < high])


def test_alarms_go_off_in_the_order_of_their_time_and_then_of_the_customer() -> None:
    mine = timers()
    for customer, due in (("c2", 20), ("c1", 20), ("c3", 10), ("c4", 30)):
        mine.set(customer, -1, due)
    assert mine.due(20, 100) == ["c3", "c1", "c2"]


def test_an_alarm_goes_off_once() -> None:
    mine = timers()
    mine.set("c1", -1, 10)
    assert mine.due(10, 100) == ["c1"]
    assert mine.due(10, 100) == []


def test_an_alarm_that_was_moved_goes_off_at_its_new_time_only() -> None:
    mine = timers()
    mine.set("c1", -1, 10)
    mine.set("c1", 10, 30)
    assert mine.due(20, 100) == []
    assert mine.due(30, 100) == ["c1"]


def test_an_alarm_that_was_cancelled_stays_silent_even_if_it_was_stored() -> None:
    mine = timers([(10, "c1")])
    mine.set("c1", 10, -1)
    assert mine.due(SPAN, 100) == []


def test_what_exceeds_the_budget_follows_later() -> None:
    mine = timers()
    for number in range(5):
        mine.set(f"c{number}", -1, number)
    assert [mine.due(10, 2) for _ in range(3)] == [["c0", "c1"], ["c2", "c3"], ["c4"]]


def test_stored_alarms_are_read_when_their_time_comes_near_and_not_before() -> None:
    asked: list[tuple[int, int]] = []

    def scan(low: int, high: int) -> list[Alarm]:
        asked.append((low, high))
        return [alarm for alarm in [(5, "c1"), (3 * SPAN, "c2")] if low <= alarm[0] < high]

    mine = Timers(scan)
    assert mine.due(10, 100) == ["c1"]
    assert mine.due(20, 100) == []
    assert asked == [(0, 10 + SPAN)]
    assert mine.due(3 * SPAN, 100) == ["c2"]


def test_of_very_many_that_are_due_soon_no_more_are_read_than_must_be() -> None:
    read: list[Alarm] = []
    many = [(n // 2, f"c{n}") for n in range(3 * MOST_READ)]

    def scan(low: int, high: int) -> Iterator[Alarm]:
        for alarm in many:
            if low <= alarm[0] < high:
                read.append(alarm)
                yield alarm

    mine = Timers(scan)
    assert mine.due(0, 100) == ["c0", "c1"]
    assert len(read) <= MOST_READ + 1
    mine.set("early", -1, 1)
    mine.set("late", -1, MOST_READ)
    assert mine.due(1, 100) == ["c2", "c3", "early"]
    rest = mine.due(2 * MOST_READ, 4 * MOST_READ)
    assert rest == [id for _, id in sorted([*many[4:], (MOST_READ, "late")])]


@law
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), max_size=30),
    st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 60), st.integers(0, 20)), max_size=20),
    st.integers(1, 4),
)
def test_alarms_go_off_alike_however_many_are_read_at_once(
    stored: list[tuple[int, int]], steps: list[tuple[int, int, int]], most: int
) -> None:
    """Each step sets somebody's alarm, then the watermark goes on."""
    alarms = dict(sorted({id: due for due, id in stored}.items()))
    found = []
    for size in (most, MOST_READ):
        kept = {(due, f"c{id}") for id, due in alarms.items()}
        mine = Timers(lambda low, high, kept=kept: [it for it in sorted(kept) if low <= it[0] < high])
        now, fired, has = 0, [], {f"c{id}": due for id, due in alarms.items()}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("operators.timers.MOST_READ", size)
            for id, due, further in steps:
                who = f"c{id}"
                mine.set(who, has.get(who, -1), due)
                has[who] = due
                now += further
                for customer in mine.due(now, 3):
                    fired.append((now, customer))
                    mine.set(customer, has[customer], -1)
                    has[customer] = -1
                for alarm, there in mine.changes.items():
                    (kept.add if there else kept.discard)(alarm)
                mine.changes.clear()
        found.append(fired)
    assert found[0] == found[1]


def test_what_changed_is_there_for_the_store() -> None:
    mine = timers()
    mine.set("c1", -1, 10)
    mine.set("c1", 10, 30)
    assert mine.changes == {(10, "c1"): False, (30, "c1"): True}


def test_an_alarm_set_for_the_past_goes_off_at_the_next_look() -> None:
    mine = timers()
    assert mine.due(1000, 100) == []
    mine.set("c1", -1, 10)
    assert mine.due(1000, 100) == ["c1"]
