"""Alarms in event time."""

from __future__ import annotations

from operators.timers import SPAN, Alarm, Timers


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
