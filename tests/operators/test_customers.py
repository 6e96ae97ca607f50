"""What customers do, and what comes of it. Times are minutes; every event is a cut of its own."""

from __future__ import annotations

from operators.identity import customer_id
from schemas.outbound import Decision, Trigger
from tests.events import at, consent, event, inputs, retail, run, track
from tests.outcome import Outcome
from tests.simulate import Simulation, Step, cut_up

ANN = {"user": "ann"}
ANN_ID = customer_id("shop", "user_id:ann")


def added(minutes: float, cart: str | None = "c1", product: str = "p1", **more: object) -> bytes:
    given = {"product_id": product, "price": 10, **({"cart_id": cart} if cart else {}), **ANN, **more}
    return track("Product Added", minutes, **given)


def removed(minutes: float, cart: str = "c1", product: str = "p1", **more: object) -> bytes:
    return track("Product Removed", minutes, **{"product_id": product, "cart_id": cart, **ANN, **more})


def ordered(minutes: float, **more: object) -> bytes:
    return track("Order Completed", minutes, **{"order_id": "o1", "total": 10, **ANN, **more})


def viewed(minutes: float, product: str = "p1", **more: object) -> bytes:
    return track("Product Viewed", minutes, **{"product_id": product, **ANN, **more})


def triggers(outcome: Outcome) -> list[Trigger]:
    return sorted(outcome.triggers.values(), key=lambda trigger: trigger.decided_at)


def reasons(outcome: Outcome) -> list[str]:
    found: list[Decision] = sorted(outcome.decisions.values(), key=lambda decision: decision.decided_at)
    return [decision.reason for decision in found]


YES = [consent(0, **ANN), consent(0, channel="push", **ANN)]

# --- an abandoned cart


def test_a_cart_left_alone_for_a_quarter_of_an_hour_is_a_reason() -> None:
    (trigger,) = triggers(run(*YES, added(1), until=16))
    assert (trigger.rule, trigger.customer, trigger.key) == ("cart_abandoned", ANN_ID, "c1")
    assert trigger.decided_at == at(16)
    assert [(line.product_id, line.quantity, line.price) for line in trigger.basket] == [("p1", 1, 1000)]
    assert trigger.facts == {
        "orders_lifetime": 0, "revenue_lifetime": 0, "views_24h": 0, "basket_value": 1000, "basket_items": 1,
    }  # fmt: skip


def test_it_is_no_reason_a_moment_earlier() -> None:
    assert triggers(run(*YES, added(1), until=15.99)) == []


def test_each_change_of_the_cart_starts_the_wait_again() -> None:
    (trigger,) = triggers(run(*YES, added(1), added(10, product="p2"), until=60))
    assert trigger.decided_at == at(25)
    assert trigger.facts["basket_items"] == 2


def test_an_order_takes_the_reason_away() -> None:
    assert triggers(run(*YES, added(1), ordered(10, cart_id="c1"), until=60)) == []
    assert triggers(run(*YES, added(1), ordered(10), until=60)) == []


def test_an_order_of_one_cart_says_nothing_about_another() -> None:
    outcome = run(*YES, added(1, "c1"), added(2, "c2"), ordered(10, cart_id="c1"), until=60)
    assert [trigger.key for trigger in triggers(outcome)] == ["c2"]


def test_what_was_put_back_is_not_abandoned() -> None:
    assert triggers(run(*YES, added(1), removed(5), until=60)) == []
    (trigger,) = triggers(run(*YES, added(1, quantity=3), removed(5), until=60))
    assert trigger.facts["basket_items"] == 2


def test_without_a_cart_id_a_customer_has_one_cart() -> None:
    outcome = run(*YES, added(1, None), added(2, None, "p2"), until=60)
    (trigger,) = triggers(outcome)
    assert (trigger.key, trigger.facts["basket_items"]) == ("", 2)


def test_a_cart_that_is_changed_after_it_was_abandoned_can_be_abandoned_again() -> None:
    day = 24 * 60
    outcome = run(*YES, added(1), added(day), until=day + 60)
    assert [trigger.decided_at for trigger in triggers(outcome)] == [at(16), at(day + 15)]


def test_what_is_due_is_decided_before_the_event_that_comes_too_late() -> None:
    outcome = run(*YES, added(1), ordered(17, cart_id="c1"), until=60)
    assert [trigger.decided_at for trigger in triggers(outcome)] == [at(16)]
    assert triggers(outcome)[0].facts["orders_lifetime"] == 0


def test_a_checkout_that_is_not_finished_is_a_reason_after_ten_minutes() -> None:
    started = track("Checkout Started", 1, cart_id="c1", **ANN)
    step = track("Checkout Step Completed", 4, cart_id="c1", **ANN)
    (trigger,) = triggers(run(*YES, started, step, until=60))
    assert (trigger.rule, trigger.decided_at) == ("checkout_abandoned", at(14))
    assert triggers(run(*YES, started, step, ordered(10, cart_id="c1"), until=60)) == []


# --- repeated interest


def test_the_third_look_at_a_product_within_two_hours_is_a_reason() -> None:
    outcome = run(*YES, viewed(1), viewed(30), viewed(2, "p2"), viewed(60), until=70)
    (trigger,) = triggers(outcome)
    assert (trigger.rule, trigger.key, trigger.channel) == ("repeated_interest", "p1", "push")
    assert trigger.decided_at == at(60)
    assert trigger.why == "3 times p1 within 2h"


def test_looks_that_are_too_far_apart_are_no_reason() -> None:
    assert triggers(run(*YES, viewed(1), viewed(30), viewed(122), until=130)) == []


def test_buying_the_product_starts_the_count_again() -> None:
    bought = ordered(40, products=[{"product_id": "p1"}])
    assert triggers(run(*YES, viewed(1), viewed(30), bought, viewed(60), until=70)) == []


# --- what holds a trigger back


def test_without_consent_nothing_goes_out_and_the_decision_says_so() -> None:
    assert reasons(run(added(1), until=60)) == ["consent-unknown"]
    assert reasons(run(consent(0, channel="push", **ANN), added(1), until=60)) == ["consent-unknown"]


def test_a_consent_that_was_taken_back_counts() -> None:
    assert reasons(run(*YES, consent(5, granted=False, **ANN), added(1), until=60)) == ["consent-refused"]


def test_a_late_word_about_consent_does_not_overrule_a_newer_one() -> None:
    outcome = run(consent(5, granted=False, **ANN), consent(3, granted=True, **ANN), added(1), until=60)
    assert reasons(outcome) == ["consent-refused"]


def test_a_rule_that_has_acted_rests_for_its_cooldown() -> None:
    outcome = run(*YES, added(1, "c1"), added(60, "c2"), added(300, "c3"), until=400)
    assert [trigger.key for trigger in triggers(outcome)] == ["c1", "c3"]
    assert reasons(outcome) == ["cooldown"]


def test_a_reason_that_is_learnt_of_too_late_has_expired() -> None:
    days = 3 * 24 * 60
    outcome = run(*YES, event("page", days, anonymous="somebody"), added(1), until=days + 1)
    assert reasons(outcome) == ["expired"]
    assert triggers(outcome) == []


# --- duplicates and what cannot be used


def test_a_message_that_comes_twice_counts_once() -> None:
    outcome = run(*YES, viewed(1, id="m1"), viewed(1, id="m1"), until=60)
    assert outcome.features_of(ANN_ID, at(60))["views_24h"] == 1


def test_the_same_message_id_with_another_payload_is_another_event_however_often_either_comes() -> None:
    first, other = viewed(1, id="m1"), viewed(1, "p2", id="m1")
    outcome = run(*YES, first, other, first, other, until=60)
    assert outcome.features_of(ANN_ID, at(60))["views_24h"] == 2


def test_a_message_id_that_is_used_twice_is_flagged_with_the_record_that_did_it() -> None:
    outcome = run(*YES, viewed(1, id="m1"), viewed(1, "p2", id="m1"), viewed(1, "p2", id="m1"), until=60)
    (decision,) = outcome.decisions.values()
    assert (decision.rule, decision.reason, decision.key) == ("dedupe", "same-id-other-payload", "m1")
    assert decision.facts == {"record": "shop.web/0/3"}
    effect = outcome.effects["conflict:shop.web/0/3"]
    assert effect.type == "oncue.decision.same-id-other-payload"


def test_ids_are_each_topics_own() -> None:
    log = inputs([*YES, viewed(1, id="m1")], [viewed(1, "p2", id="m1")])
    simulation = Simulation(retail(), log)
    for step in cut_up(retail(), log):
        simulation.cut(step)
    outcome = simulation.finish().outcome()
    assert outcome.decisions == {}
    assert outcome.features_of(ANN_ID, at(60))["views_24h"] == 2


def test_a_late_event_that_is_delivered_twice_counts_once() -> None:
    late, days = viewed(1, id="m1"), 2 * 24 * 60
    outcome = run(event("page", days, **ANN), late, late, until=days + 1)
    assert outcome.features_of(ANN_ID, at(2))["views_30m"] == 1


def test_a_message_that_comes_again_after_the_window_counts_again() -> None:
    days = 2 * 24 * 60
    outcome = run(viewed(1, id="m1"), event("page", days, **ANN), viewed(1, id="m1"), until=days + 1)
    assert outcome.features_of(ANN_ID, at(2))["views_30m"] == 2


def test_an_event_with_a_bad_property_is_a_dead_letter_and_changes_nothing() -> None:
    bad = added(5, price="ten")
    outcome = run(*YES, added(1), bad, until=60)
    (letter,) = outcome.dead_letters.values()
    assert (letter.topic, letter.partition, letter.offset) == ("shop.web", 0, 3)
    assert (letter.stage, letter.reason, letter.original) == ("event", "wrong-property", bad)
    assert "price" in letter.detail
    assert outcome.outputs().keys() - outcome.dead_letters == run(*YES, added(1), until=60).outputs().keys()
    assert outcome.features_of(ANN_ID, at(60))["cart_adds_24h"] == 1


def test_money_in_another_currency_is_not_added_up() -> None:
    outcome = run(ordered(1, currency="EUR"), ordered(2, currency="USD"), until=3)
    assert [letter.reason for letter in outcome.dead_letters.values()] == ["other-currency"]
    assert outcome.features_of(ANN_ID, at(3))["revenue_lifetime"] == 1000


def test_a_currency_is_the_same_in_any_case() -> None:
    outcome = run(ordered(1, currency="usd"), ordered(2, currency="USD "), until=3)
    assert outcome.features_of(ANN_ID, at(3))["revenue_lifetime"] == 2000


def test_what_has_no_header_is_a_dead_letter_too() -> None:
    outcome = run(b"not json", event("page", 1, user="null"), until=2)
    letters = sorted(outcome.dead_letters.values(), key=lambda letter: letter.offset)
    assert [(letter.stage, letter.reason) for letter in letters] == [
        ("header", "not-json"), ("header", "no-identifier"),
    ]  # fmt: skip
    assert letters[0].original == b"not json"


def test_an_event_of_1970_counts_in_its_own_time_and_sets_nothing_off() -> None:
    first = track("Product Added", 1, product_id="p1", cart_id="c1", **ANN)
    old = first.replace(b"2026-03-02", b"1970-01-01").replace(b'"m-', b'"n-').replace(b'"c1"', b'"c2"')
    log = inputs([*YES, viewed(2), old, first, event("page", 3, user="x")], [event("page", 3, user="y")])
    steps = cut_up(retail(), log, [[1, 1]] * 6)
    simulation = Simulation(retail(), log)
    for step in [*steps, Step({}, at(60))]:
        simulation.cut(step)
    outcome = simulation.finish().outcome()
    assert steps[-1].watermark == at(3)  # it held nothing back
    assert sorted(trigger.key for trigger in outcome.triggers.values()) == ["c1"]
    assert reasons(outcome) == ["expired"]
    assert outcome.features_of(ANN_ID, at(60))["cart_adds_24h"] == 1
    assert len(outcome.customers[ANN_ID].encode()) < 2000


# --- merges


def test_a_cart_filled_before_the_login_is_abandoned_once_and_by_the_survivor() -> None:
    cookie = {"anonymous": "cookie"}
    login = event("identify", 5, anonymous="cookie", **ANN)
    outcome = run(*YES, track("Product Added", 1, product_id="p1", cart_id="c1", **cookie), login, until=60)
    (trigger,) = triggers(outcome)
    assert (trigger.customer, trigger.decided_at) == (ANN_ID, at(16))
    assert outcome.identities == {customer_id("shop", "anonymous_id:cookie"): ANN_ID}


def test_what_was_decided_before_the_merge_is_not_decided_again() -> None:
    cookie = {"anonymous": "cookie"}
    login = event("identify", 30, anonymous="cookie", **ANN)
    first = track("Product Added", 1, product_id="p1", cart_id="c1", **cookie)
    outcome = run(*YES, event("page", 0, **cookie), consent(0, **cookie), first, login, until=90)
    assert [trigger.customer for trigger in triggers(outcome)] == [customer_id("shop", "anonymous_id:cookie")]
    assert reasons(outcome) == []


def test_a_basket_that_only_the_merge_fills_is_no_reason_for_what_is_past() -> None:
    """The cookie took out one of two that Ann put in; apart, the cookie's cart was empty."""
    cookie = {"anonymous": "cookie"}
    out = track("Product Removed", 5, product_id="p1", cart_id="c1", **cookie)
    outcome = run(
        *YES, added(1, quantity=2), out, event("identify", 300, anonymous="cookie", **ANN), until=400
    )
    assert [trigger.decided_at for trigger in triggers(outcome)] == [at(16)]
    assert reasons(outcome) == []


def test_a_withdrawal_survives_a_merge_whoever_made_it() -> None:
    cookie = {"anonymous": "cookie"}
    withdrawn = consent(3, granted=False, **cookie)
    outcome = run(*YES, withdrawn, added(1), event("identify", 5, anonymous="cookie", **ANN), until=60)
    assert reasons(outcome) == ["consent-refused"]


def test_looks_before_and_after_the_login_add_up() -> None:
    before = [viewed(minute, **{"user": None, "anonymous": "cookie"}) for minute in (1, 2)]
    outcome = run(*YES, *before, viewed(9, anonymous="cookie"), until=20)
    assert [trigger.why for trigger in triggers(outcome)] == ["3 times p1 within 2h"]


def test_events_of_a_customer_who_waits_for_a_move_are_held_and_lose_nothing() -> None:
    cookie = {"anonymous": "cookie"}
    log = inputs(
        [
            *YES,
            event("page", 1, **cookie),
            event("identify", 2, **cookie, **ANN),
            added(3),
            event("page", 60, user="x"),
        ]
    )
    simulation = Simulation(retail(), log)
    steps = cut_up(retail(), log, [[1]] * 6)
    for step in steps:
        simulation.cut(step, moves=[0])
    waiting = simulation.outcome()
    assert waiting.triggers == {}
    assert waiting.features_of(ANN_ID, at(60))["cart_adds_24h"] == 0
    (trigger,) = triggers(simulation.finish().outcome())
    assert trigger.decided_at == at(18)
