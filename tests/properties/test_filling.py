"""Features that a playbook names later: as if it had named them from the start."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators import filling, slots
from operators import playbook as playbooks
from tests.leaves import Changing
from tests.properties.logs import Log, law, logs
from tests.properties.test_history import sorted_topics
from tests.properties.test_laws import DAYS, returns
from tests.simulate import Step, replay

BEFORE = """
scope: shop
sources: {web: {}, app: {}}
identifiers: {user_id: {limit: 1}, email: {}, anonymous_id: {}, device_id: {}}
history: {}
measures:
  views: {on: [Product Viewed], value: properties.product_id}
  spent: {on: [Order Completed], value: properties.total, unit: money}
  added: {on: [Product Added], value: properties.product_id}
features:
  views_7d: {measure: views, aggregate: count, window: 7d}
  revenue: {measure: spent, aggregate: sum}
  added: {measure: added, aggregate: count}
engine: {alignment: 10m, dedupe: 30m}
"""
# Another aggregate, another width of panes, more panes of one width; a new measure; a derived feature; and a
# measure that says something else now.
MORE = """  dear: {on: [Product Viewed], value: properties.price, unit: money}
features:
  seen: {measure: views, aggregate: distinct}
  views_30m: {measure: views, aggregate: count, window: 30m}
  views_9d: {measure: views, aggregate: count, window: 9d}
  dearest: {measure: dear, aggregate: max}
  last_dear: {measure: dear, aggregate: last, window: 1d}
  views_per_look: {expression: views_9d / seen}
"""
AFTER = BEFORE.replace("[Product Added], value: properties.product_id", "[Product Added, Product Removed]")
AFTER = AFTER.replace("features:\n", MORE)
OLD, NEW = playbooks.load(BEFORE), playbooks.load(AFTER)
LATER = {"seen", "views_30m", "views_9d", "dearest", "last_dear", "views_per_look", "added"}


def test_old_features_stay_where_they_are_and_new_ones_get_a_slot_of_their_own() -> None:
    known, placed = slots.assign(None, BEFORE, OLD)
    assert placed == {}
    after, placed = slots.assign(known, AFTER, NEW)
    assert set(placed) == LATER - {"views_per_look"}
    assert slots.assign(after, AFTER, NEW) == (after, placed)
    book = playbooks.load(AFTER, "after", placed, after.generations)
    assert (book.features["views_7d"].slot, book.features["views_9d"].slot) == ("views", "views/1")
    assert book.later == {1: LATER}
    again, placed = slots.assign(after, BEFORE, OLD)
    assert placed == {"added": 2}, "what it said before was not counted meanwhile"
    assert "dear" not in again.measures


@law
@given(logs(OLD), st.sampled_from([1, 3]), returns, st.floats(0, 1), st.sampled_from([1, 2, 64]))
def test_a_feature_that_comes_later_is_as_if_it_had_been_there_from_the_start(
    log: Log, shards: int, returning: list[int], share: float, budget: int
) -> None:
    inputs = sorted_topics(log)
    simulation = Changing(OLD, BEFORE, inputs, shards)
    steps = list(log.steps)
    change = round(len(steps) * share)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filling, "PER_CUT", budget)
        for number, step in enumerate(steps):
            if number == change:
                simulation.change(AFTER)
            simulation.cut(step, returning[number : number + 2])
        if change == len(steps):
            simulation.change(AFTER)
        while not simulation.filled:
            simulation.cut(Step({}, log.end))
    simulation.finish()
    outcome = simulation.outcome()
    outcome.playbook.hidden.clear()
    start = replay(NEW, inputs, log.steps)
    assert set(outcome.customers) == set(start.customers)
    for days in DAYS:
        now = log.end + round(days * 86_400_000)
        assert outcome.features(now) == start.features(now)


@law
@given(logs(OLD, late=False))
def test_nothing_of_it_shows_before_all_of_it_is_there(log: Log) -> None:
    simulation = Changing(OLD, BEFORE, sorted_topics(log), 3)
    for step in log.steps:
        simulation.cut(step)
    simulation.change(AFTER)
    while not simulation.filled:
        simulation.cut(Step({}, log.end))
        found = simulation.outcome().features(log.end)
        assert all(values[name] is None for values in found.values() for name in LATER)
    simulation.cut(Step({}, log.end + 1))
    simulation.cut(Step({}, log.end + 2))
    assert simulation.playbook.hidden == set()
