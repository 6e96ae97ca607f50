"""Triggers about scores: a threshold with hysteresis, a rise, and who is worth most."""

from __future__ import annotations

from math import log

import pytest

from operators import playbook as playbooks
from operators.churn import values
from operators.churn.parts import Fitted
from operators.playbook import BadPlaybook
from tests import models
from tests.events import at, consent, event, inputs, track
from tests.outcome import Outcome
from tests.simulate import Models, Simulation, cut_up

TEXT = """
scope: shop
sources: {web: {}}
identifiers: {user_id: {}, anonymous_id: {}}
churn: {on: [Order Completed], value: properties.total, horizon: 60d, rescore: [page]}
triggers:
  leaving:
    {kind: crossing, of: churn_probability, above: 0.7, until: 0.6, channel: letter, purpose: marketing,
     facts: [churn_reasons, churn_model], unless: [{on: Case Opened}]}
  sliding:
    {kind: rise, of: churn_probability, by: 0.2, within: 1h, channel: letter, purpose: marketing}
  valued:
    {kind: crossing, of: value_rank, above: 0.9, until: 0.8, channel: letter, purpose: marketing}
"""
SHOP = playbooks.load(TEXT)
ANN = {"user": "ann"}
FIRST = [consent(0, channel="letter", **ANN), track("Order Completed", 1, order_id="o1", total=50, **ANN)]


def scored(risks: list[float], gap: int = 10, percentiles: list[list[float]] | None = None) -> Outcome:
    """Somebody who is scored every `gap` minutes, by models that say just this."""
    definition = SHOP.foretold["churn"].definition
    pages = [event("page", gap * (n + 1), **ANN) for n in range(len(risks))]
    brought = percentiles or [[]] * len(risks)
    taken: Models = {
        n + 3: [(n, models.linear(definition, n + 1, log(risk / (1 - risk)), brought[n]))]
        for n, risk in enumerate(risks)
    }
    return outcome_of([*FIRST, *pages], taken)


def outcome_of(events: list[bytes], taken: Models) -> Outcome:
    shop = inputs(events)
    simulation = Simulation(SHOP, shop, models=taken)
    for step in cut_up(SHOP, shop, [[1]] * len(events)):
        simulation.cut(step)
    return simulation.finish().outcome()


def when(outcome: Outcome, rule: str) -> list[int]:
    """Minutes at which it went out."""
    return sorted((it.decided_at - at(0)) // 60_000 for it in outcome.triggers.values() if it.rule == rule)


def test_a_crossing_comes_once_until_the_score_has_fallen_below_the_lower_threshold() -> None:
    outcome = scored([0.5, 0.72, 0.65, 0.75, 0.69, 0.71, 0.55, 0.65, 0.71])
    assert when(outcome, "leaving") == [20, 90]
    (cancelled,) = [it for it in outcome.cancelled.values() if it.rule == "leaving"]
    assert (cancelled.reason, cancelled.cancelled_at) == ("no-longer-holds", at(70))


def test_a_trigger_about_a_score_says_why_with_the_reasons_and_the_model() -> None:
    outcome = scored([0.5, 0.8])
    trigger = next(it for it in outcome.triggers.values() if it.rule == "leaving")
    assert trigger.facts == {"churn_reasons": [], "churn_model": 2, "churn_probability": 0.8}
    assert trigger.why == "churn_probability is 0.8"
    assert trigger.key == ""


def test_a_rise_is_seen_against_the_lowest_of_its_time_and_once() -> None:
    assert when(scored([0.3, 0.2, 0.35, 0.45, 0.5, 0.55, 0.62]), "sliding") == [40]
    assert when(scored([0.3, 0.2, 0.35, 0.45, 0.5, 0.55, 0.66]), "sliding") == [40, 70]
    assert when(scored([0.2, 0.3, 0.39, 0.45, 0.5, 0.55], gap=40), "sliding") == []


def test_the_most_valuable_are_told_by_percentiles_that_the_model_brings() -> None:
    low, high = [0.01 * n for n in range(1, 100)], [1_000.0 * n for n in range(1, 100)]
    outcome = scored([0.5] * 5, percentiles=[[], low, high, low, low])
    assert when(outcome, "valued") == [20, 40]
    facts = next(it for it in outcome.triggers.values() if it.rule == "valued").facts
    assert facts == {"value_rank": 0.99}


def test_an_end_takes_the_reason_away_and_the_same_score_does_not_bring_it_back_at_once() -> None:
    risky = models.linear(SHOP.foretold["churn"].definition, 1, 2.0)
    cured = track("Case Opened", 20, case_id="c1", **ANN)
    events = [*FIRST, event("page", 10, **ANN), cured, event("page", 30, **ANN)]
    outcome = outcome_of(events, {3: [(0, risky)]})
    assert when(outcome, "leaving") == [10, 30]
    assert [it.reason for it in outcome.cancelled.values() if it.rule == "leaving"] == ["ended"]


def test_percentiles_are_those_of_the_people_the_model_knows() -> None:
    people = [(0.0, 0.0, 30.0, 1.0, float(spent)) for spent in range(1, 201)]
    found = values.percentiles(people, Fitted(), 60 * 86_400_000)
    assert found == sorted(found)
    assert len(found) == 99
    assert values.percentiles(people[:20], Fitted(), 60 * 86_400_000) == []
    middle = found[49]
    assert values.rank(found, middle) == pytest.approx(0.5, abs=0.011)


def test_every_mistake_of_a_trigger_about_a_score_is_listed() -> None:
    bad = """
scope: shop
sources: {web: {}}
identifiers: {user_id: {}}
triggers:
  one: {kind: crossing, of: churn_probability, above: 0.5, until: 0.6, on: [page], channel: a, purpose: b}
  two: {kind: rise, of: value_rank, by: lots, channel: a, purpose: b, key: properties.x}
  three: {kind: absence, wait: 5m, channel: a, purpose: b, above: 3}
"""
    with pytest.raises(BadPlaybook) as wrong:
        playbooks.load(bad)
    assert {it.path for it in wrong.value.mistakes} == {
        "triggers.one.of", "triggers.one.until", "triggers.one.on", "triggers.two.of", "triggers.two.by",
        "triggers.two.key", "triggers.two.within", "triggers.three.on", "triggers.three.above",
    }  # fmt: skip
