"""Purchase intent in the flow: who is scored when, who is told of it, and what the learner gets."""

from __future__ import annotations

from math import log

import msgspec
import pytest

from operators import playbook as playbooks
from operators.facts import newest_score
from operators.identity import customer_id
from operators.playbook import BadPlaybook
from schemas import topics
from schemas.churn import Example
from schemas.outbound import Profile
from tests import models
from tests.events import at, consent, event, inputs, run, track
from tests.outcome import Outcome
from tests.simulate import Models, Simulation, cut_up

TEXT = """
scope: shop
sources: {web: {}}
identifiers: {user_id: {}, anonymous_id: {}}
measures:
  views: {on: [Product Viewed], value: properties.product_id}
  orders: {on: [Order Completed]}
features:
  views_24h: {measure: views, aggregate: count, window: 24h}
  orders: {measure: orders, aggregate: count}
profiles: {every: 5m}
intent:
  on: [Order Completed]
  signals:
    looks: [Product Viewed]
    adds: [Product Added]
    checkouts: [Checkout Started]
  features: [views_24h]
triggers:
  leaves:
    {kind: absence, on: [Product Viewed, Product Added, Checkout Started], wait: 10m,
     unless: [{on: Order Completed}], where: intent_probability >= 0.1, channel: letter, purpose: marketing,
     facts: [intent_probability, intent_reasons, intent_model, intent_prior]}
  hot:
    {kind: crossing, of: intent_probability, above: 0.7, until: 0.5, channel: letter, purpose: marketing,
     unless: [{on: Order Completed}], facts: [intent_reasons]}
"""
SHOP = playbooks.load(TEXT)
DEFINITION = SHOP.foretold["intent"].definition
DAY = 24 * 60  # minutes
ANN, COOKIE = {"user": "ann"}, {"anonymous": "cookie"}
ANN_ID, COOKIE_ID = customer_id("shop", "user_id:ann"), customer_id("shop", "anonymous_id:cookie")


def look(minutes: float, **who: str) -> bytes:
    return track("Product Viewed", minutes, product_id="p1", **(who or ANN))


def add(minutes: float, **who: str) -> bytes:
    return track("Product Added", minutes, product_id="p1", cart_id="c", **(who or ANN))


def pay(minutes: float, **who: str) -> bytes:
    return track("Checkout Started", minutes, cart_id="c", **(who or ANN))


def order(minutes: float, **who: str) -> bytes:
    return track("Order Completed", minutes, order_id=f"o{minutes}", total=20, **(who or ANN))


def shop(*events: bytes, until: float | None = None) -> Outcome:
    return run(*events, until=until, playbook=SHOP)


def scored(outcome: Outcome, customer: str = ANN_ID) -> tuple[int, float] | None:
    """When, in minutes, and what."""
    score = outcome.score_of(customer, "intent", outcome.customers[customer].part("core").last_seen)
    return None if score is None else ((score.at - at(0)) // 60_000, score.probability)


def labels(outcome: Outcome) -> list[tuple[str, int, bool]]:
    found: list[Example] = sorted(outcome.visits.values(), key=lambda it: (it.at, it.customer))
    return [(it.customer, (it.at - at(0)) // 60_000, it.label) for it in found]


def test_a_visitor_is_scored_at_all_they_do_while_they_are_there() -> None:
    times = []
    events = [look(0), look(1), add(1.5), look(2), event("page", 3, **ANN), look(40), look(10), look(41)]
    for count in range(1, len(events) + 1):
        found = scored(shop(*events[:count]))
        assert found is not None
        times.append(found[0])
    assert times == [0, 1, 1, 2, 2, 40, 40, 41], "not at what is no signal, nor at one told late"


def test_what_is_told_so_late_that_they_had_gone_is_not_scored() -> None:
    late = [look(0), event("page", 100, **ANN), look(50)]
    assert scored(shop(*late)) is None
    assert scored(shop(*late, look(100))) is not None


def test_both_labels_come_a_horizon_after_the_score_and_once() -> None:
    outcome = shop(look(0), add(20), look(3 * DAY), order(3 * DAY + 5), until=6 * DAY)
    assert labels(outcome) == [(ANN_ID, 0, False), (ANN_ID, 20, False), (ANN_ID, 3 * DAY, True)]
    for effect in outcome.effects.values():
        if effect.topic == topics.INTENT_EXAMPLES:
            body = msgspec.json.decode(effect.body, type=Example)
            assert body.known_at == body.at + DAY * 60_000 == effect.at
            assert len(body.facts) == len(DEFINITION.facts)
    assert not outcome.examples, "the playbook has no section churn"
    assert "!intent" not in outcome.customers[ANN_ID].part("core").alarms


def test_high_intent_and_gone_quiet_is_a_trigger_that_says_why_until_an_order() -> None:
    told = consent(0, channel="letter", **ANN)
    outcome = shop(told, look(1), add(2), pay(3), until=DAY)
    (trigger,) = outcome.triggers.values()
    assert (trigger.rule, trigger.decided_at) == ("leaves", at(13))
    assert trigger.facts["intent_probability"] > 0.1
    assert trigger.facts["intent_reasons"][:2] == [
        f"raises: {it} in this visit" for it in ("checkouts", "adds")
    ]
    assert (trigger.facts["intent_model"], trigger.facts["intent_prior"]) == (0, True)
    assert not shop(told, look(1), look(2), until=DAY).triggers, "just looking"
    assert not shop(told, look(1), add(2), pay(3), order(4), until=DAY).triggers


def test_a_score_says_nothing_after_an_order_or_once_its_horizon_is_past() -> None:
    assert scored(shop(look(0), order(60))) is None
    fresh, ordered = scored(shop(look(0), pay(1))), scored(shop(look(0), pay(1), order(2)))
    assert fresh is not None
    assert ordered is not None
    assert ordered[1] < fresh[1] / 5, "somebody who is still there may order again, but hardly does"
    outcome = shop(look(0), pay(1))
    (now, later) = (outcome.said_of(ANN_ID, "intent_probability", at(one)) for one in (DAY, DAY + 2))
    assert (now, later) == (round(fresh[1], 4), None)


def test_a_login_scores_both_halves_as_one_and_an_order_by_either_answers_both() -> None:
    outcome = shop(
        look(0), look(2 * DAY, **COOKIE), add(2 * DAY + 1, **COOKIE),
        event("identify", 2 * DAY + 2, user="ann", anonymous="cookie"), order(2 * DAY + 9), until=4 * DAY,
    )  # fmt: skip
    part = outcome.customers[ANN_ID].part("intent")
    assert part.totals == {"looks": 2, "adds": 1}
    assert [visit.counts for visit in part.visits] == [{"looks": 1}, {"looks": 1, "adds": 1}]
    assert labels(outcome)[:2] == [(ANN_ID, 0, False), (COOKIE_ID, 2 * DAY, True)]


def test_the_profile_tells_the_score_and_leaves_it_out_when_it_is_past() -> None:
    def told(outcome: Outcome) -> list[Profile]:
        bodies = (e.body for e in outcome.effects.values() if e.topic == topics.PROFILES)
        return [msgspec.json.decode(body, type=Profile) for body in bodies]

    (profile,) = told(shop(look(0), add(1), until=30))
    assert profile.intent is not None
    assert (profile.intent.scored_at, profile.intent.model, profile.intent.prior) == (at(1), 0, True)
    assert profile.intent.reasons
    assert profile.churn is None
    assert told(shop(look(0), order(60), until=DAY))[-1].intent is None


def test_each_subject_takes_its_own_models_and_scores_with_the_newest() -> None:
    both = playbooks.load(
        f"{TEXT}churn: {{on: [Order Completed], horizon: 60d, rescore: [Product Viewed]}}\n"
    )
    mine, other = (both.foretold[name].definition for name in ("intent", "churn"))
    pairs: Models = {
        2: [(0, models.linear(mine, 5, log(4))), (1, models.linear(other, 90, log(9)))],
        3: [(2, models.linear(other._replace(horizon=1), 91)), (3, models.linear(mine, 7, log(3)))],
    }
    log_ = inputs([order(0), look(5), look(10), look(15)])
    simulation = Simulation(both, log_, models=pairs)
    records = simulation.crashing(cut_up(both, log_, [[1]] * 4), ANN_ID)
    said = []
    for record in records:
        now = record.part("core").last_seen
        book = simulation.shards[0].customers.playbook
        said.append([newest_score(book, record, name, now) for name in ("intent", "churn")])
    assert [churn and churn.version for _, churn in said[:4]] == [0, 90, 90, 90]
    assert [intent and intent.version for intent, _ in said[:4]] == [None, 5, 7, 7]
    assert said[2][0] is not None
    assert said[2][0].probability == pytest.approx(0.75)
    (letter,) = simulation.finish().outcome().dead_letters.values()
    assert "model 91 was learnt for another definition of churn" in letter.detail


def test_without_the_section_nothing_is_kept_and_its_names_are_unknown() -> None:
    plain = playbooks.load(TEXT[: TEXT.index("intent:\n")])
    outcome = run(look(0), order(1), until=2 * DAY, playbook=plain)
    assert not outcome.customers[ANN_ID].has("intent")
    assert not outcome.visits
    section, triggers = TEXT.index("intent:\n"), TEXT.index("triggers:")
    with pytest.raises(BadPlaybook) as wrong:
        playbooks.load(TEXT[:section] + TEXT[triggers:])
    assert {it.path for it in wrong.value.mistakes} == {
        "triggers.leaves.where", "triggers.leaves.facts", "triggers.hot.of", "triggers.hot.facts",
    }  # fmt: skip
    assert any("needs the section intent" in it.problem for it in wrong.value.mistakes)


def test_every_mistake_of_the_section_is_listed_with_the_nearest_name() -> None:
    start, end = TEXT.index("intent:\n"), TEXT.index("triggers:")
    bad = (
        "intent:\n  on: [Order Completed]\n  signals:\n    looks: []\n    pays: [Order Completed]\n"
        "  horizon: vist\n  gap: 0s\n  apart: long\n  promote_after: 0\n  contestants: [curvd]\n"
        "  features: [view_24h]\n"
    )
    with pytest.raises(BadPlaybook) as wrong:
        playbooks.load(TEXT[:start] + bad + TEXT[end:])
    said = {it.path: it.problem for it in wrong.value.mistakes}
    assert said["intent.contestants[0]"].startswith("unknown 'curvd'; did you mean 'curved'?")
    with pytest.raises(BadPlaybook) as wrong:
        playbooks.load(TEXT[:start] + bad.replace("[curvd]", "[ensemble]") + TEXT[end:])
    said = {it.path: it.problem for it in wrong.value.mistakes}
    assert said.keys() == {
        "intent.signals.looks", "intent.signals.pays", "intent.horizon", "intent.gap", "intent.apart",
        "intent.promote_after", "intent.contestants", "intent.features",
    }  # fmt: skip
    assert said["intent.horizon"].endswith("did you mean 'visit'?")
    assert said["intent.features"].endswith("did you mean 'views_24h'?")
    assert "counts once" in said["intent.signals.pays"]
