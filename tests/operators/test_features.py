"""Windowed aggregates."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from operators import features
from operators.features import Feature, Panes, pane_width, tiers
from schemas.playbook import Aggregate
from tests.properties.logs import law

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def counted(
    aggregate: Aggregate, window: int, values: list[tuple[int, Any]], now: int, scale: int = 1
) -> Any:
    feature = Feature("f", "m", aggregate, window, scale)
    panes: Panes = {}
    for at, value in values:
        features.add(panes, tiers([feature]), at, value)
    return features.value(panes, feature, now)


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
    assert counted("time_since", 0, VALUES, 4 * HOUR) == HOUR


def test_of_nothing_counts_and_sums_are_zero_and_the_rest_is_unknown() -> None:
    for aggregate in ("count", "sum", "distinct"):
        assert counted(aggregate, DAY, [], 0) == 0
    for aggregate in ("mean", "min", "max", "first", "last", "time_since"):
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


def test_how_long_ago_needs_no_value() -> None:
    assert counted("time_since", 0, [(HOUR, None)], 3 * HOUR) == 2 * HOUR


def test_numbers_in_millionths_are_shown_in_units() -> None:
    assert counted("sum", 0, [(0, 1_500_000), (1, 250_000)], 2, scale=1_000_000) == 1.75


def test_features_with_panes_of_one_width_share_them() -> None:
    plan = tiers([Feature("a", "m", "count", DAY), Feature("b", "m", "sum", 2 * DAY)])
    assert [(tier.width, tier.components) for tier in plan] == [(HOUR, ("n", "s"))]


def test_old_panes_are_dropped() -> None:
    plan = tiers([Feature("f", "m", "count", DAY)])
    panes: Panes = {}
    for day in range(400):
        features.add(panes, plan, day * DAY, None)
    assert len(panes[HOUR]) <= plan[0].keep


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
    found = counted("count", window, [(at, None) for at in times], now)
    exact = sum(at > now - window for at in times)
    in_the_oldest_pane = sum(now - window < at < now - window + pane_width(window) for at in times)
    assert exact - in_the_oldest_pane <= found <= exact
    assert pane_width(window) * 24 <= window
