"""Scores in the flow: who is scored when, who is told of it, and what the learner gets."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from operators import playbook as playbooks
from operators.churn.published import Incompatible
from operators.identity import customer_id
from operators.playbook import BadPlaybook
from operators.scores import Foresight
from schemas import topics
from schemas.churn import Example
from schemas.outbound import Profile
from tests import models
from tests.events import RETAIL, at, event, inputs, retail, run, track
from tests.outcome import Outcome
from tests.simulate import Simulation, cut_up

DAY = 24 * 60  # minutes
ANN, COOKIE = {"user": "ann"}, {"anonymous": "cookie"}
ANN_ID, COOKIE_ID = customer_id("shop", "user_id:ann"), customer_id("shop", "anonymous_id:cookie")


def order(minutes: float, total: float = 20, **who: str) -> bytes:
    return track("Order Completed", minutes, order_id=f"o{minutes}", total=total, **(who or ANN))


def told(outcome: Outcome, customer: str = ANN_ID) -> list[Profile]:
    bodies = (e.body for e in outcome.effects.values() if e.topic == topics.PROFILES and e.key == customer)
    return [msgspec.json.decode(body, type=Profile) for body in bodies]


def labels(outcome: Outcome) -> list[tuple[str, int, bool]]:
    examples: list[Example] = sorted(outcome.examples.values(), key=lambda it: (it.at, it.customer))
    return [(it.customer, it.at, it.label) for it in examples]


def test_a_purchase_is_scored_and_the_profile_says_that_no_model_was_there_yet() -> None:
    (profile,) = told(run(order(0), until=DAY))
    score = profile.churn
    assert score is not None
    assert 0 < score.probability < 1
    assert (score.scored_at, score.model, score.prior) == (at(0), 0, True)
    assert score.reasons
    assert score.expected_value > 0
    assert score.next_purchase_at > at(0)


def test_who_never_bought_has_no_score() -> None:
    (profile,) = told(run(track("Product Viewed", 0, product_id="p1", **ANN), until=100 * DAY))
    assert profile.churn is None


def test_silence_raises_the_score_and_every_news_of_it_is_told() -> None:
    days = [event("page", day * DAY, anonymous="clock") for day in range(1, 200)]
    scores = [it.churn for it in told(run(order(0), *days, until=200 * DAY)) if it.churn is not None]
    risks = [score.probability for score in scores]
    assert len(risks) > 8
    assert risks == sorted(risks)
    assert risks[-1] > risks[0] + 0.3
    assert {(score.scored_at - at(0)) % (7 * DAY * 60_000) for score in scores} == {0}
    assert "raises: long since the last purchase" in scores[-1].reasons
    assert all(later - before >= 0.0099 for before, later in pairwise(risks))


def test_both_labels_reach_the_learner_at_scoring_time_plus_horizon_and_once() -> None:
    days = [event("page", day * DAY, anonymous="clock") for day in range(1, 90)]
    outcome = run(*sorted([order(0), order(10 * DAY), *days], key=_time), until=90 * DAY)
    assert labels(outcome)[:3] == [
        (ANN_ID, at(0), False),
        (ANN_ID, at(7 * DAY), False),
        (ANN_ID, at(17 * DAY), True),
    ]
    for effect in outcome.effects.values():
        if effect.topic == topics.CHURN_EXAMPLES:
            body = msgspec.json.decode(effect.body, type=Example)
            assert body.known_at == body.at + 60 * DAY * 60_000 == effect.at
            assert len(body.facts) == len(outcome.playbook.foretold["churn"].definition.facts)


def test_two_halves_of_one_person_answer_each_other_and_are_scored_as_one() -> None:
    outcome = run(
        order(0, 30),
        order(1, 50, **COOKIE),
        event("identify", 2 * DAY, user="ann", anonymous="cookie"),
        event("page", 3 * DAY, anonymous="clock"),
        until=100 * DAY,
    )
    assert labels(outcome)[:2] == [(ANN_ID, at(0), False), (COOKIE_ID, at(1), True)]
    churn = outcome.customers[ANN_ID].part("churn")
    assert (churn.bought.count, churn.bought.total) == (2, 8_000)
    assert any(it.churn is not None and it.churn.scored_at == at(2 * DAY) for it in told(outcome))


def test_the_lines_of_one_order_are_scored_at_the_first_and_once_more_when_the_throttle_is_over() -> None:
    def scored(*lines: float) -> tuple[int, int]:
        churn = run(*map(order, lines), until=10).customers[ANN_ID].part("churn")
        return churn.scored.at, churn.bought.count

    assert scored(0) == (at(0), 1)
    assert scored(0, 0.2, 0.4) == (at(1), 3)
    assert scored(0, 0.2, 5) == (at(5), 3)
    assert scored(0, 0.2, 5, 5.5) == (at(6), 4)


def test_a_score_is_never_as_of_before_what_is_known() -> None:
    """An order that is told late, after the timer has scored."""
    late = order(3 * DAY)
    outcome = run(order(0), event("page", 8 * DAY, **ANN), late, until=8 * DAY)
    churn = outcome.customers[ANN_ID].part("churn")
    assert churn.scored.at == at(8 * DAY)
    assert [one.at for one in churn.waiting] == [at(0), at(7 * DAY)]


def test_conditions_and_facts_of_any_trigger_may_read_the_score() -> None:
    asked = "times: 3\n    where: churn_probability > 0.5"
    said = "facts: [churn_probability, churn_reasons, churn_prior]\n\n  # Five"
    facts = "facts: [views_30m, products_viewed_24h, last_product_viewed]\n\n  # Five"
    shop = retail(("times: 3", asked), (facts, said))
    looks = [track("Product Viewed", 100 * DAY + n, product_id="p1", **ANN) for n in range(3)]
    early = [track("Product Viewed", n, product_id="p1", **ANN) for n in range(1, 4)]
    outcome = run(order(0), *early, *looks, until=101 * DAY, playbook=shop)
    (decision,) = [it for it in outcome.decisions.values() if it.rule == "repeated_interest"]
    assert decision.facts["churn_probability"] > 0.5
    assert decision.facts["churn_prior"] is True
    assert decision.facts["churn_reasons"]


def test_a_score_that_cannot_be_found_is_a_dead_letter_and_the_order_counts() -> None:
    shop = retail()
    churn = shop.foretold["churn"]
    leaf, purchases = [0.0, -1, 0.0, 0, 0], churn.definition.inputs.index("purchases")
    # Of who has bought it asks for an input that there is not.
    tree = [[0.0, purchases, 0.5, 1, 2], leaf, [0.0, 99, 0.0, 1, 1]]
    raw = models.of(churn.definition, 7, {"kind": "trees", "trees": [tree]})
    broken = churn._replace(served=churn.served.always(raw))
    shop = shop._replace(foretold=shop.foretold | {"churn": broken})
    outcome = run(order(0), order(1), until=15 * DAY, playbook=shop)
    letters = list(outcome.dead_letters.values())
    assert len(letters) == 4, "two orders, and a try a week"
    assert all("IndexError" in letter.detail for letter in letters)
    assert outcome.features_of(ANN_ID, at(2))["orders_lifetime"] == 2


def test_a_model_scores_from_the_cut_it_comes_in_and_one_that_does_not_fit_is_reported_once() -> None:
    shop = retail()
    definition = shop.foretold["churn"].definition
    other = definition._replace(horizon=1)
    log = inputs([order(day * DAY) for day in range(5)])
    taken = {
        2: [(0, models.linear(definition, 7, bias=3.0))],
        3: [(1, models.linear(other, 9)), (2, models.linear(definition, 6, bias=-3.0)), (3, b"")],
        5: [(4, models.linear(definition, 11, bias=-3.0))],
    }
    simulation = Simulation(shop, log, models=taken)
    records = simulation.crashing(cut_up(shop, log, [[1]] * 5), ANN_ID)
    versions = [record.part("churn").scored.version for record in records]
    assert versions[:5] == [0, 7, 7, 7, 11]
    (letter,) = simulation.finish().outcome().dead_letters.values()
    assert (letter.stage, letter.reason, letter.topic) == ("model", "incompatible", "")
    assert letter.detail.startswith("shop.models/0/1: model 9 was learnt for another definition of churn")


def test_what_waited_is_scored_by_the_model_of_its_time_however_many_came_since() -> None:
    shop = retail()
    definition, foresight = shop.foretold["churn"].definition, Foresight(shop)
    for moment in (1_000, 2_000, 3_000, 4_000, 5_000, 6_000):
        for version in (moment, moment + 1):  # two come together: the newer one counts
            foresight.take(moment, models.linear(definition, version))
    versions = [foresight.scores["churn"].served.scorer(at).version for at in (1_000, 1_001, 2_500, 6_001)]
    assert versions == [0, 1_001, 2_001, 6_001]
    assert len(foresight.taken) == 6
    again = Foresight(shop, foresight.taken).scores["churn"].served
    assert [again.scorer(at).version for at in (1_000, 1_001, 2_500, 6_001)] == versions


def test_a_model_that_is_fixed_gives_every_score_and_those_that_come_are_kept_for_later() -> None:
    shop = retail()
    definition, foretold = shop.foretold["churn"].definition, shop.foretold
    kept, newest = models.linear(definition, 7), models.linear(definition, 9)
    for raw, version in ((kept, 7), (b"", 0)):
        fixed = foretold["churn"]._replace(served=foretold["churn"].served.always(raw))
        foresight = Foresight(shop._replace(foretold=foretold | {"churn": fixed}))
        foresight.take(1_000, newest)
        assert [foresight.scores["churn"].served.scorer(at).version for at in (500, 2_000)] == [version] * 2
        assert foresight.taken == [(1_000, newest)]
    with pytest.raises(Incompatible, match="another definition of churn"):
        foretold["churn"].served.always(models.linear(definition._replace(horizon=1), 7))


def test_without_the_section_nothing_is_kept_and_nothing_is_told() -> None:
    text = RETAIL.read_text()
    start, end, risk = (text.index(it) for it in ("churn: #", "intent: #", "  churn_risk:"))
    outcome = run(order(0), until=100 * DAY, playbook=playbooks.load(text[:start] + text[end:risk]))
    assert not outcome.customers[ANN_ID].has("churn")
    assert not outcome.examples
    assert all(profile.churn is None for profile in told(outcome))


def test_every_mistake_of_the_section_is_listed() -> None:
    text = RETAIL.read_text()
    start, end = text.index("churn: #"), text.index("intent: #")
    section = (
        "churn:\n  on: []\n  horizon: 0s\n  every: 7d\n  throttle: 8d\n  apart: week\n  least: 0\n"
        "  value: total\n  features: [order_lifetime, last_search]\n  contestants: [ensemble]\n"
    )
    bad = text[:start] + section + text[end:]
    bad = bad.replace("features:\n", "features:\n  churn_prior: {measure: orders, aggregate: count}\n", 1)
    with pytest.raises(BadPlaybook) as wrong:
        playbooks.load(bad)
    said = {mistake.path: mistake.problem for mistake in wrong.value.mistakes}
    assert said.keys() == {
        "churn.on", "churn.horizon", "churn.throttle", "churn.apart", "churn.least", "churn.value",
        "churn.features", "churn.contestants", "features.churn_prior",
    }  # fmt: skip
    problems = [it.problem for it in wrong.value.mistakes if it.path == "churn.features"]
    assert problems == [
        "'last_search' is text; models take numbers",
        "unknown feature 'order_lifetime'; did you mean 'orders_lifetime'?",
    ]


def _time(raw: bytes) -> str:
    return str(msgspec.json.decode(raw)["timestamp"])
