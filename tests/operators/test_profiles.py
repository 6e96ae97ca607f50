"""When a customer's profile is told, and what it says."""

from __future__ import annotations

import msgspec

from operators.customers import Customers
from operators.identity import customer_id
from operators.operations import EVENT, Pack
from operators.timers import Timers
from schemas import topics
from schemas.outbound import Profile
from tests.events import at, consent, event, inputs, retail, run, track
from tests.outcome import Outcome
from tests.simulate import Simulation, Store, cut_up

SOON = retail(("profiles: {every: 1h}", "profiles: {every: 15m}"))
ANN = {"user": "ann"}
ANN_ID = customer_id("shop", "user_id:ann")
COOKIE_ID = customer_id("shop", "anonymous_id:cookie")


def told(outcome: Outcome, customer: str = ANN_ID) -> list[Profile]:
    """Every profile of a customer, in the order in which they go out."""
    bodies = (e.body for e in outcome.effects.values() if e.topic == topics.PROFILES and e.key == customer)
    return [msgspec.json.decode(body, type=Profile) for body in bodies]


def viewed(minutes: float, **who: str) -> bytes:
    return track("Product Viewed", minutes, product_id="p1", **(who or ANN))


def test_a_changed_customer_is_told_once_after_a_while_with_all_that_changed_until_then() -> None:
    outcome = run(viewed(1), consent(2, **ANN), viewed(10), until=60, playbook=SOON)
    (profile,) = told(outcome)
    assert (profile.as_of, profile.first_seen, profile.last_seen) == (at(16), at(1), at(10))
    assert profile.features["views_24h"] == 2
    assert profile.features.keys() == outcome.playbook.features.keys()
    assert [(one.purpose, one.channel, one.granted) for one in profile.consents] == [
        ("marketing", "email", True)
    ]


def test_it_is_told_again_only_after_another_change() -> None:
    outcome = run(viewed(1), viewed(40), event("identify", 90, **ANN), until=200, playbook=SOON)
    assert [(one.as_of, one.features["views_24h"]) for one in told(outcome)] == [(at(16), 1), (at(55), 2)]


def test_a_change_that_is_told_late_is_not_dated_back() -> None:
    clock = event("page", 30, anonymous="clock")
    outcome = run(clock, viewed(5), until=60, playbook=SOON)
    (profile,) = told(outcome)
    assert (profile.as_of, profile.first_seen) == (at(45), at(5))


def test_on_a_merge_the_retired_id_names_the_survivor_and_the_survivor_is_told_with_everything() -> None:
    outcome = run(
        viewed(1),
        viewed(2, anonymous="cookie"),
        event("identify", 3, user="ann", anonymous="cookie"),
        until=60,
        playbook=SOON,
    )
    (retired,) = told(outcome, COOKIE_ID)
    assert (retired.merged_into, retired.features, retired.as_of) == (ANN_ID, {}, at(3))
    (survivor,) = told(outcome)
    assert (survivor.merged_into, survivor.features["views_24h"]) == (None, 2)


def test_of_several_profiles_of_a_customer_in_one_cut_only_the_last_goes_out() -> None:
    playbook = SOON
    log = inputs([viewed(1), viewed(20), viewed(50), event("page", 200, anonymous="clock")])
    simulation = Simulation(playbook, log)
    for step in cut_up(playbook, log):
        simulation.cut(step)
    (profile,) = told(simulation.finish().outcome())
    assert (profile.as_of, profile.features["views_24h"]) == (at(65), 3)


def test_where_profiles_and_labels_are_not_written_all_else_is_the_same() -> None:
    """As in a replay that writes nothing: they cost the most of it, and nobody sees them."""
    unseen = (topics.PROFILES, topics.CHURN_EXAMPLES)
    shop = retail()
    day = 24 * 60
    orders = [
        track("Order Completed", days * day, order_id=f"o{days}", total=20, **ANN) for days in (0, 3, 40)
    ]
    found = []
    for written in (range(len(topics.OUTPUTS)), ()):
        store = Store({})
        fold = Customers(shop, 0, store, Timers(lambda low, high: []), {}, written=written)
        effects, before = [], -1
        for number, days in enumerate(range(120), 1):
            now = at(days * day)
            mine = [(EVENT, ANN_ID, now, "shop.web/0", days, now, None, raw)
                    for raw in orders if f'"o{days}"'.encode() in raw]  # fmt: skip
            effects += fold.apply(Pack(0, number, now, before, 0, now, False, mine))
            before = now
        assert {it.topic for it in effects}.issuperset(unseen) == bool(written)
        found.append(([it for it in effects if it.topic not in unseen], store[ANN_ID].encode()))
        assert written or effects == found[-1][0]
    assert found[0] == found[1]


def test_a_playbook_may_choose_the_features_or_have_no_profiles_at_all() -> None:
    some = retail(("{every: 1h}", "{every: 1h, features: [views_24h]}"))
    (profile,) = told(run(viewed(1), until=120, playbook=some))
    assert (profile.as_of, profile.features) == (at(61), {"views_24h": 1})
    none = retail(("profiles: {every: 1h}", ""))
    assert told(run(viewed(1), until=120, playbook=none)) == []
