"""The kinds of triggers, what recalls them, and whether the customer can be reached. Times are minutes."""

from __future__ import annotations

import pytest

from schemas.outbound import TriggerCancelled
from tests.events import at, consent, event, retail, run, track
from tests.operators.test_customers import ANN, YES, added, ordered, reasons, removed, triggers, viewed
from tests.outcome import Outcome

COOKIE = {"anonymous": "cookie"}


def searched(minutes: float, query: str = "shoes", **more: object) -> bytes:
    return track("Products Searched", minutes, **{"query": query, **ANN, **more})


def cancelled(outcome: Outcome) -> list[TriggerCancelled]:
    return sorted(outcome.cancelled.values(), key=lambda one: (one.cancelled_at, one.rule))


def of(rule: str, outcome: Outcome) -> list[str]:
    return [trigger.key for trigger in triggers(outcome) if trigger.rule == rule]


# --- several things of one kind


def test_five_products_of_a_category_in_half_an_hour_are_an_interest_in_it() -> None:
    looks = [viewed(minute, f"p{minute}", category="shoes") for minute in range(1, 6)]
    (trigger,) = triggers(run(*YES, *looks, until=10))
    assert (trigger.rule, trigger.key, trigger.decided_at) == ("category_interest", "shoes", at(5))
    assert trigger.why == "5 different ones of shoes within 30m"


def test_the_same_product_again_is_no_other_product() -> None:
    looks = [viewed(minute, f"p{minute % 4}", category="shoes") for minute in range(1, 9)]
    assert of("category_interest", run(*YES, *looks, until=10)) == []


def test_a_product_of_no_category_is_of_none() -> None:
    assert triggers(run(*YES, *[viewed(minute, f"p{minute}") for minute in range(1, 9)], until=10)) == []


# --- a price that falls


def prices(*seen: float, product: str = "p1") -> list[bytes]:
    return [viewed(1 + 60 * number, product, price=price) for number, price in enumerate(seen)]


def test_a_product_seen_again_for_less_is_a_reason_that_says_both_prices() -> None:
    (trigger,) = triggers(run(*YES, *prices(100, 95), until=70))
    assert (trigger.rule, trigger.key, trigger.decided_at) == ("price_drop", "p1", at(61))
    assert (trigger.facts["value_before"], trigger.facts["value_now"]) == (10_000, 9_500)
    assert trigger.why == "p1 was 100.00 USD when last seen and is 95.00 USD"
    assert trigger.currency == "USD"


@pytest.mark.parametrize("seen", [(100, 96), (90, 100), (100, 100, 96)])
def test_a_price_that_hardly_falls_or_rises_is_none(seen: tuple[float, ...]) -> None:
    assert triggers(run(*YES, *prices(*seen), until=600)) == []


def test_a_price_that_falls_little_by_little_is_compared_with_the_highest() -> None:
    outcome = run(*YES, *prices(100, 98, 96, 94), until=600)
    assert [trigger.decided_at for trigger in triggers(outcome) if trigger.rule == "price_drop"] == [at(181)]


def test_after_a_drop_the_comparison_begins_with_the_new_price() -> None:
    outcome = run(*YES, *prices(100, 90, 90, 88, 80), until=600)
    assert [one.decided_at for one in triggers(outcome) if one.rule == "price_drop"] == [at(61), at(241)]


def test_a_price_in_another_currency_is_not_compared() -> None:
    assert triggers(run(*YES, *prices(100), viewed(9, price=50, currency="EUR"), until=70)) == []


def test_looks_before_and_after_a_login_are_compared() -> None:
    before = viewed(1, price=100, user=None, anonymous="cookie")
    outcome = run(*YES, before, event("identify", 2, **COOKIE, **ANN), viewed(9, price=80), until=20)
    assert of("price_drop", outcome) == ["p1"]


# --- a search


def test_a_search_after_which_nothing_is_looked_at_is_a_reason() -> None:
    (trigger,) = triggers(run(*YES, searched(1, "red shoes"), until=6))
    assert (trigger.rule, trigger.key, trigger.decided_at) == ("search_without_click", "red shoes", at(6))


@pytest.mark.parametrize("name", ["Product Clicked", "Product Viewed", "Product Added"])
def test_a_look_at_any_product_takes_the_reason_away(name: str) -> None:
    look = track(name, 3, product_id="p1", cart_id="c1", **ANN)
    assert of("search_without_click", run(*YES, searched(1), look, until=6)) == []


def test_a_look_that_is_learnt_of_before_its_search_counts_as_well() -> None:
    assert triggers(run(*YES, viewed(3), searched(1), until=30)) == []


# --- a threshold


def test_a_cart_is_of_high_value_as_soon_as_it_is_and_only_once() -> None:
    adds = [added(minute, product=f"p{minute}", price=600) for minute in (1, 2, 3)]
    (trigger,) = [one for one in triggers(run(*YES, *adds, until=10)) if one.rule == "high_value_cart"]
    assert (trigger.key, trigger.decided_at) == ("c1", at(2))
    assert trigger.facts["basket_value"] == 120_000


def test_a_cart_that_fell_below_and_rises_again_is_another_reason() -> None:
    outcome = run(
        *YES, added(1, price=1200), removed(2), added(3, price=1200), until=10, playbook=retail(
            ("cooldown: 24h\n    expires: 2h", "cooldown: 0s\n    expires: 2h"))
    )  # fmt: skip
    assert [one.decided_at for one in triggers(outcome)] == [at(1), at(3)]
    assert [(one.reason, one.cancelled_at) for one in cancelled(outcome)] == [("no-longer-holds", at(2))]


def test_a_merge_alone_reaches_no_threshold_but_the_next_change_does() -> None:
    half = added(1, price=600, **{"user": None, "anonymous": "cookie"})
    login = event("identify", 3, **COOKIE, **ANN)
    assert of("high_value_cart", run(*YES, half, added(2, product="p2", price=600), login, until=10)) == []
    more = added(4, product="p3", price=1)
    both = run(*YES, half, added(2, product="p2", price=600), login, more, until=10)
    assert [one.decided_at for one in triggers(both)] == [at(4)]


# --- which events count


def test_only_what_meets_the_condition_begins_anything() -> None:
    found = retail(("    key: properties.query", "    key: properties.query\n    only: results == 0"))
    outcome = run(*YES, searched(1, results=0), searched(1, "hats", results=7), until=9, playbook=found)
    assert of("search_without_click", outcome) == ["shoes"]


def test_an_event_that_the_condition_cannot_be_asked_of_is_a_dead_letter() -> None:
    found = retail(("    key: properties.query", "    key: properties.query\n    only: results < 1"))
    outcome = run(*YES, searched(1, results="none"), searched(1, "hats", results=0), until=9, playbook=found)
    (letter,) = outcome.dead_letters.values()
    assert letter.reason == "condition-failed"
    assert "search_without_click" in letter.detail
    assert of("search_without_click", outcome) == ["hats"]


FAILING = "basket_value / orders_lifetime > 5"


def test_a_condition_that_fails_is_a_decision_that_says_so_and_the_work_goes_on() -> None:
    found = retail(("wait: 15m", f"wait: 15m\n    where: {FAILING}"))
    outcome = run(*YES, added(1), searched(2), until=30, playbook=found)
    (reason,) = reasons(outcome)
    assert reason.startswith("condition-failed ZeroDivisionError")
    assert of("search_without_click", outcome) == ["shoes"]


def test_a_threshold_that_cannot_be_asked_is_one_decision_however_often_the_cart_changes() -> None:
    found = retail(("when: basket_value >= 100000", f"when: {FAILING}"))
    outcome = run(*YES, added(1), added(2), added(3), until=9, playbook=found)
    assert [reason.split(" ")[0] for reason in reasons(outcome)] == ["condition-failed"]


# --- what recalls a trigger


def test_an_order_cancels_what_was_sent_about_the_cart() -> None:
    outcome = run(*YES, added(1), ordered(20, cart_id="c1", id="the-order"), until=60)
    ((id, trigger),) = outcome.triggers.items()
    (end,) = cancelled(outcome)
    assert (end.trigger, end.rule, end.key, end.customer) == (id, trigger.rule, "c1", trigger.customer)
    assert (end.reason, end.cancelled_at) == ("ended", at(20))
    effects = {
        effect.type.partition(".")[2]: effect for effect in outcome.effects.values() if effect.correlation
    }
    sent, recalled = effects["trigger.cart_abandoned"], effects["trigger-cancelled.cart_abandoned"]
    assert recalled.correlation == sent.correlation
    assert recalled.cause == "the-order"


def test_what_has_expired_is_not_cancelled() -> None:
    day = 24 * 60
    assert cancelled(run(*YES, added(1), ordered(day + 17, cart_id="c1"), until=day + 20)) == []
    assert len(cancelled(run(*YES, added(1), ordered(day + 16, cart_id="c1"), until=day + 20))) == 1


def test_an_order_of_another_cart_cancels_nothing() -> None:
    assert cancelled(run(*YES, added(1), ordered(20, cart_id="c2"), until=60)) == []


def test_an_order_that_was_made_in_time_but_learnt_of_late_cancels_as_well() -> None:
    outcome = run(*YES, added(1), viewed(30), ordered(10, cart_id="c1"), until=60)
    assert [one.cancelled_at for one in cancelled(outcome)] == [at(10)]


def test_an_order_before_it_all_began_cancels_nothing() -> None:
    assert cancelled(run(*YES, added(5), viewed(30), ordered(4, cart_id="c1"), until=60)) == []


def test_an_emptied_cart_cancels_and_taking_out_one_of_two_does_not() -> None:
    outcome = run(*YES, added(1), removed(20), until=60)
    assert [one.reason for one in cancelled(outcome)] == ["emptied"]
    assert cancelled(run(*YES, added(1, quantity=2), removed(20), until=60)) == []


def test_a_withdrawn_consent_cancels_all_that_needs_it_and_nothing_else() -> None:
    looks = [viewed(minute) for minute in (1, 2, 3)]
    outcome = run(*YES, added(1), *looks, consent(20, granted=False, **ANN), until=60)
    assert {one.rule for one in triggers(outcome)} == {"cart_abandoned", "repeated_interest"}
    (end,) = cancelled(outcome)
    assert (end.rule, end.reason) == ("cart_abandoned", "consent-withdrawn")


def test_nothing_is_cancelled_twice() -> None:
    ends = [ordered(20, cart_id="c1"), removed(21), consent(22, granted=False, **ANN)]
    assert len(cancelled(run(*YES, added(1), *ends, until=60))) == 1


def test_buying_after_the_login_cancels_what_was_sent_before_it_to_whom_it_was_sent() -> None:
    early = [event("page", 0, **ANN), event("page", 0.5, **COOKIE), consent(1, **COOKIE)]
    cart = added(1, **{"user": None, "anonymous": "cookie"})
    login = event("identify", 20, **COOKIE, **ANN)
    outcome = run(*early, cart, event("page", 17, user="x"), login, ordered(25, cart_id="c1"), until=60)
    (trigger,) = triggers(outcome)
    assert outcome.survivor(trigger.customer) != trigger.customer
    (end,) = cancelled(outcome)
    assert (end.customer, end.cancelled_at) == (trigger.customer, at(25))


def test_a_merge_with_whom_had_bought_cancels() -> None:
    cart = added(1, **{"user": None, "anonymous": "cookie"})
    bought, login = ordered(20, cart_id="c1"), event("identify", 30, **COOKIE, **ANN)
    outcome = run(consent(0, **COOKIE), event("page", 0, **ANN), cart, bought, login, until=60)
    (end,) = cancelled(outcome)
    assert (end.reason, end.cancelled_at) == ("ended", at(30))
    (effect,) = [effect for effect in outcome.effects.values() if "trigger-cancelled" in effect.type]
    assert effect.cause == "move:1"


# --- whether somebody can be reached


def test_a_consent_without_an_address_reaches_nobody() -> None:
    assert reasons(run(consent(0, traits={}, **ANN), added(1), until=30)) == ["unreachable"]


def test_an_address_that_is_none_reaches_nobody() -> None:
    said = consent(0, traits={"email": "test@test.com"}, **ANN)
    assert reasons(run(said, added(1), until=30)) == ["unreachable"]


def test_an_address_may_come_from_either_half_of_a_merge() -> None:
    mail = event("identify", 0, traits={"email": "ann@example.org"}, **COOKIE)
    login = event("identify", 2, **COOKIE, **ANN)
    assert len(triggers(run(consent(0, traits={}, **ANN), mail, added(1), login, until=30))) == 1


def bounced(minutes: float, email: str | None = "ann@example.org") -> bytes:
    traits = {"email": email} if email else {}
    return track("Email Bounced", minutes, traits=traits, **ANN)


@pytest.mark.parametrize("email", ["ann@example.org", None])
def test_mail_that_bounced_reaches_nobody_until_there_is_another_address(email: str | None) -> None:
    outcome = run(*YES, bounced(1, email), added(2), until=30)
    assert reasons(outcome) == ["unreachable"]
    again = event("identify", 3, traits={"email": "Ann@Example.org"}, **ANN)
    assert reasons(run(*YES, bounced(1, email), added(2), again, until=30)) == ["unreachable"]
    other = event("identify", 3, traits={"email": "ann@example.net"}, **ANN)
    assert len(triggers(run(*YES, bounced(1, email), added(2), other, until=30))) == 1


def test_an_address_that_failed_is_tried_again_after_a_new_consent() -> None:
    outcome = run(*YES, bounced(1), consent(2, traits={}, **ANN), added(3), until=30)
    assert len(triggers(outcome)) == 1


def test_push_needs_a_token_and_an_app_that_is_still_there() -> None:
    looks = [viewed(minute) for minute in (5, 6, 7)]
    assert reasons(run(consent(0, channel="push", context={}, **ANN), *looks, until=9)) == ["unreachable"]
    gone = track("Application Uninstalled", 4, **ANN)
    assert reasons(run(*YES, gone, *looks, until=9)) == ["unreachable"]


def test_the_playbook_says_what_a_channel_needs() -> None:
    found = retail(("\ntriggers:", "\nchannels: {email: {address: nothing}}\ntriggers:"))
    assert len(triggers(run(consent(0, traits={}, **ANN), added(1), until=30, playbook=found))) == 1
