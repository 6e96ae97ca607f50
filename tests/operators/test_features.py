"""Windowed aggregates."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from operators import features
from operators.distinct import EXACT
from operators.features import Feature, decode_columns, pane_width, plan, settle
from operators.panes import LIFETIME, MOST_COUNTED, MOST_KEYS
from operators.parts import Measured
from operators.readings import Readings
from schemas.playbook import Aggregate
from tests.properties.logs import law

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def measured(of: Feature, values: list[tuple[int, Any]], slot: str = "m") -> Measured:
    found = Measured(forms=[], rows=[])
    for at, value in values:
        features.add(found, plan([of]), slot, [at, value])
    return found


def settled(found: Measured, wanted: features.Plan) -> dict[str, features.Columns]:
    return {slot: decode_columns(packed) for slot, packed in settle(found, wanted).items()}


def said(found: Measured, asked: list[Feature], now: int) -> list[Any]:
    """What features say, and say all the same when what waits has been put into panes."""
    wanted = plan(asked)
    waiting = {it.name: it.says.nothing for it in asked}
    in_panes = dict(waiting)
    Readings(wanted, asked).take(found, now, waiting)
    settle(found, wanted)
    Readings(wanted, asked).take(found, now, in_panes)
    assert waiting == in_panes
    return [*waiting.values()]


def counted(
    aggregate: Aggregate, window: int, values: list[tuple[int, Any]], now: int, scale: int = 1
) -> Any:
    feature = Feature("f", "m", aggregate, window, scale)
    return said(measured(feature, values), [feature], now)[0]


VALUES = [(1 * HOUR, 30), (2 * HOUR, 10), (3 * HOUR, 20)]


def test_every_aggregate_over_a_lifetime() -> None:
    assert counted("count", 0, VALUES, DAY) == 3
    assert counted("sum", 0, VALUES, DAY) == 60
    assert counted("mean", 0, VALUES, DAY) == 20
    assert counted("min", 0, VALUES, DAY) == 10
    assert counted("max", 0, VALUES, DAY) == 30
    assert counted("first", 0, VALUES, DAY) == 30
    assert counted("last", 0, VALUES, DAY) == 20
    assert counted("distinct", 0, [*VALUES, (DAY, 20)], DAY) == 3
    assert counted("top", 0, [*VALUES, (DAY, 20)], DAY) == 20
    assert counted("time_since", 0, VALUES, 4 * HOUR) == HOUR
    assert counted("time_since_first", 0, VALUES, 4 * HOUR) == 3 * HOUR


def test_of_nothing_counts_and_sums_are_zero_and_the_rest_is_unknown() -> None:
    for aggregate in ("count", "sum", "distinct"):
        assert counted(aggregate, DAY, [], 0) == 0
    assert counted("open", 0, [], 0) == 0
    for aggregate in ("mean", "min", "max", "first", "last", "top", "time_since", "time_since_first"):
        assert counted(aggregate, DAY, [], 0) is None


def test_a_window_empties_as_time_passes_without_any_event() -> None:
    views = [(0, "p"), (20 * MINUTE, "p")]
    assert [counted("count", 30 * MINUTE, views, minute * MINUTE) for minute in (20, 29, 31, 49, 51)] == [
        2,
        2,
        1,
        1,
        0,
    ]


def test_a_late_event_counts_where_it_belongs_and_not_at_all_when_its_window_is_over() -> None:
    in_time, late = (60 * MINUTE, "p"), (40 * MINUTE, "p")
    assert counted("count", 30 * MINUTE, [in_time, late], 60 * MINUTE) == 2
    assert counted("count", 30 * MINUTE, [in_time, (0, "p")], 60 * MINUTE) == 1
    assert counted("last", 0, [(60, "new"), (40, "old")], 100) == "new"


def test_an_event_too_old_for_a_short_window_still_counts_in_a_long_one() -> None:
    short, long = Feature("s", "m", "count", 30 * MINUTE), Feature("l", "m", "count", 30 * DAY)
    wanted = plan([short, long])
    found = Measured(forms=[], rows=[])
    for at in (10 * DAY, 0):
        features.add(found, wanted, "m", [at, True])
        settle(found, wanted)
    assert said(found, [short, long], 10 * DAY) == [1, 2]


def test_how_long_ago_needs_no_value() -> None:
    assert counted("time_since", 0, [(HOUR, True)], 3 * HOUR) == 2 * HOUR


def test_numbers_in_millionths_are_shown_in_units() -> None:
    assert counted("sum", 0, [(0, 1_500_000), (1, 250_000)], 2, scale=1_000_000) == 1.75


def test_the_most_frequent_value_of_equals_is_the_first_in_order() -> None:
    assert counted("top", 0, [(0, "b"), (1, "a"), (2, "c")], 3) == "a"


def test_the_most_frequent_of_very_many_values_is_found_though_not_all_are_counted() -> None:
    rare = [(at, f"rare-{at}") for at in range(1000)]
    common = [(at, "common") for at in range(0, 1000, 10)]
    assert counted("top", 0, sorted(rare + common), DAY) == "common"
    feature = Feature("f", "m", "top", 0)
    panes = settled(measured(feature, sorted(rare + common)), plan([feature]))
    (counts,) = panes["m"]["top/lifetime"].values()
    assert len(counts) <= MOST_COUNTED
    assert 100 - 1100 / (MOST_COUNTED + 1) <= counts["common"] <= 100


def test_nothing_is_the_most_frequent_where_very_many_values_came_once() -> None:
    assert counted("top", 0, [(at, f"p{at}") for at in range(MOST_COUNTED + 1)], DAY) is None


def open_cases(*deeds: tuple[str, int, str]) -> int:
    """What is open after ("m" opens, "-m" closes) at a time with a key."""
    feature = Feature("f", "m", "open", 0)
    wanted = plan([feature])
    found = Measured(forms=[], rows=[])
    for slot, at, key in deeds:
        features.add(found, wanted, slot, [at, key])
    return int(said(found, [feature], DAY)[0])


def test_what_was_opened_is_open_until_it_is_closed() -> None:
    assert open_cases(("m", 1, "a"), ("m", 2, "b")) == 2
    assert open_cases(("m", 1, "a"), ("m", 2, "b"), ("-m", 3, "a")) == 1
    assert open_cases(("m", 1, "a"), ("-m", 3, "a"), ("m", 4, "a")) == 1


def test_a_closing_that_arrives_before_its_opening_closes_it_all_the_same() -> None:
    assert open_cases(("-m", 3, "a"), ("m", 1, "a")) == 0


def test_of_very_many_keys_the_newest_are_remembered() -> None:
    assert open_cases(*[("m", at, f"case-{at}") for at in range(2 * MOST_KEYS)]) == MOST_KEYS


def test_features_with_panes_of_one_width_share_them() -> None:
    (hours,) = plan([Feature("a", "m", "count", DAY), Feature("b", "m", "sum", 2 * DAY)])["m"]
    assert (hours.width, [column.name for column in hours.columns]) == (HOUR, ["count/1h", "sum/1h"])


def test_few_features_of_many_say_what_they_say_with_all_others() -> None:
    names: list[Aggregate] = ["count", "sum", "mean", "min", "max", "first", "last", "distinct", "top"]
    every = [Feature(f"{slot} {it}", slot, it, 0) for slot in ("a", "b", "c") for it in names]
    found = Measured(forms=[], rows=[])
    for at, value in VALUES:
        features.add(found, plan(every), "c,b,a", [at, value, value + 1, value + 2])
    settle(found, plan(every))
    all_said: dict[str, Any] = {}
    Readings(plan(every), every).take(found, DAY, all_said)
    assert len(all_said) == len(every)
    for feature in every:
        alone: dict[str, Any] = {}
        Readings(plan(every), [feature]).take(found, DAY, alone)
        assert alone == {feature.name: all_said[feature.name]}


def test_windows_that_are_read_together_say_what_each_says_alone() -> None:
    names: list[Aggregate] = ["count", "sum", "mean", "min", "max", "first", "last", "distinct", "top"]
    every = [Feature(f"{it} {days}", "m", it, days * DAY) for it in names for days in (0, 1, 2, 30)]
    values = [*VALUES, (2 * DAY, 30)]
    found = Measured(forms=[], rows=[])
    for at, value in values:
        features.add(found, plan(every), "m", [at, value])
    alone = [counted(it.aggregate, it.window, values, 3 * DAY) for it in every]
    assert said(found, every, 3 * DAY) == alone


def test_old_panes_are_dropped() -> None:
    feature = Feature("f", "m", "count", DAY)
    panes = settled(measured(feature, [(day * DAY, True) for day in range(400)]), plan([feature]))
    assert len(panes["m"]["count/1h"]) <= plan([feature])["m"][0].keep


def test_a_row_written_under_another_playbook_is_read_by_the_names_it_came_with() -> None:
    before = plan([Feature("a", "views", "count", 0), Feature("b", "gone", "count", 0)])
    after = plan([Feature("a", "views", "count", 0), Feature("c", "new", "count", 0)])
    found = Measured(forms=[], rows=[])
    features.add(found, before, "gone,views", [1, "x", "p1"])
    features.add(found, after, "new,views", [2, "y", "p2"])
    assert settled(found, after) == {"views": {"count/lifetime": {0: 2}}, "new": {"count/lifetime": {0: 1}}}


def test_waiting_rows_become_panes_before_they_are_many() -> None:
    feature = Feature("f", "m", "count", 0)
    found = measured(feature, [(at, True) for at in range(1000)])
    assert sum(map(len, found.rows)) < features.MANY_ITEMS
    assert said(found, [feature], 2000) == [1000]


def test_what_waits_is_counted_with_a_sketch_before_it_is_in_it() -> None:
    feature = Feature("f", "m", "distinct", 0)
    found = measured(feature, [(at, at) for at in range(2 * EXACT)])
    settle(found, plan([feature]))
    sketched = found.panes
    features.add(found, plan([feature]), "m", [1000, 1000])
    told = {"f": 0}
    Readings(plan([feature]), [feature]).take(found, 2000, told)
    assert found.panes == sketched
    assert [told["f"]] == said(found, [feature], 2000)


@law
@given(
    st.lists(st.integers(0, 100_000).map(lambda s: s * 1000), max_size=30),
    st.integers(30_000, 2 * DAY),
    st.integers(0, DAY),
)
def test_a_window_is_wrong_by_less_than_a_pane_at_its_old_edge_and_exact_at_its_new_one(
    times: list[int], window: int, later: int
) -> None:
    now = max(times, default=0) + later
    found = counted("count", window, [(at, True) for at in times], now)
    exact = sum(at >= now - window for at in times)
    in_the_oldest_pane = sum(now - window <= at < now - window + pane_width(window) for at in times)
    if (now - window) % pane_width(window) == 0:
        in_the_oldest_pane = 0
    assert exact - in_the_oldest_pane <= found <= exact
    assert pane_width(window) * 24 <= window


def by_hand(aggregate: str, inside: list[tuple[int, int]], now: int) -> Any:
    """The aggregate the obvious way, over the values of the window."""
    times, values = [at for at, _ in inside], [value for _, value in inside]
    if aggregate == "count":
        return len(values)
    if aggregate == "sum":
        return sum(values)
    if aggregate == "distinct":
        return len(set(values))
    if not values:
        return None
    if aggregate == "top":
        return min(Counter(values).items(), key=lambda item: (-item[1], item[0]))[0]
    return {
        "mean": sum(values) / len(values),
        "min": min(values),
        "max": max(values),
        "first": min(inside)[1],
        "last": max(inside)[1],
        "time_since": now - max(times),
        "time_since_first": now - min(times),
    }[aggregate]


@law
@given(
    st.lists(st.tuples(st.integers(0, 3 * DAY), st.integers(-3, 3)), max_size=40),
    st.sampled_from([0, 90_000, 30 * MINUTE, DAY, 2 * DAY]),
    st.sampled_from([name for name in Aggregate.__args__ if name != "open"]),  # type: ignore[attr-defined]
    st.integers(0, DAY),
)
def test_every_aggregate_is_that_of_the_values_since_the_pane_boundary(
    values: list[tuple[int, int]], window: int, aggregate: Aggregate, later: int
) -> None:
    now = max([at for at, _ in values], default=0) + later
    width = pane_width(window)
    edge = 0 if width == LIFETIME else -((window - now) // width) * width
    inside = [(at, value) for at, value in values if at >= edge]
    assert counted(aggregate, window, values, now) == by_hand(aggregate, inside, now)


@law
@given(
    st.lists(st.tuples(st.integers(0, 3 * DAY), st.integers(0, 200)), max_size=110),
    st.sampled_from([0, 90_000, 30 * MINUTE, DAY, 2 * DAY]),
    st.sampled_from([name for name in Aggregate.__args__ if name != "open"]),  # type: ignore[attr-defined]
    st.integers(0, 3 * DAY),
    st.integers(0, 110),
)
def test_what_waits_says_what_it_will_in_panes_even_of_the_past_and_beside_full_panes(
    values: list[tuple[int, int]], window: int, aggregate: Aggregate, now: int, in_panes: int
) -> None:
    feature = Feature("f", "m", aggregate, window)
    found = measured(feature, values[:in_panes])
    settle(found, plan([feature]))
    for at, value in values[in_panes:]:
        features.add(found, plan([feature]), "m", [at, value])
    said(found, [feature], now)
