"""From what an event says to keys."""

from __future__ import annotations

import pytest

from operators.identifiers import TYPES, Identifiers, Policy, person_name
from schemas.inbound import Traits

ALL = Identifiers([Policy(kind) for kind in TYPES], "US")


def of(**traits: str) -> tuple[str, ...]:
    return ALL.keys(None, None, None, Traits(**traits))


def test_keys_come_strongest_first_whatever_the_event_names_first() -> None:
    keys = ALL.keys("u1", "cookie", "phone-7", Traits(email="ann@example.org", loyaltyNumber="l-1"))
    assert keys == (
        "user_id:u1", "loyalty:L-1", "email:ann@example.org", "anonymous_id:cookie", "device_id:phone-7",
    )  # fmt: skip


@pytest.mark.parametrize("junk", ["null", "undefined", "N/A", "0", "", "  ", "[object Object]", "Anonymous"])
def test_junk_gives_no_key(junk: str) -> None:
    assert ALL.keys(junk, junk, junk, Traits(email=junk, loyaltyNumber=junk)) == ()


def test_a_playbook_adds_junk_of_its_own() -> None:
    ids = Identifiers([Policy("user_id", junk=frozenset({"kiosk"}))], "US")
    assert ids.keys("Kiosk", None, None, None) == ()


def test_numbers_are_ids_too() -> None:
    assert ALL.keys(17, 5, None, None) == ("user_id:17", "anonymous_id:5")


def test_types_that_the_playbook_does_not_name_are_left_out() -> None:
    assert Identifiers([Policy("email")], "US").keys("u1", "a1", "d1", Traits(email="a@b.org")) == (
        "email:a@b.org",
    )


def test_an_address_is_the_same_in_any_case_and_no_address_is_no_key() -> None:
    assert of(email=" Ann@Example.ORG ") == ("email:ann@example.org",)
    assert of(email="ann at home") == ()


def test_a_phone_number_counts_only_with_a_name() -> None:
    assert of(phone="(212) 555-0123") == ()
    assert of(phone="(212) 555-0123", firstName="Ann", lastName="Lee") == ("phone_name:+12125550123 ann lee",)
    assert of(phone="+1 212 555 0123", name="LEE, Ann") == ("phone_name:+12125550123 ann lee",)


@pytest.mark.parametrize("phone", ["0000000000", "555", "call me", "11111111"])
def test_what_is_no_phone_number_gives_no_key(phone: str) -> None:
    assert of(phone=phone, name="Ann Lee") == ()


def test_names_are_compared_without_accents_order_and_punctuation() -> None:
    assert person_name("Müller, Anna") == person_name("anna  MULLER")


def test_merged_keys_keep_their_order_and_do_not_repeat() -> None:
    assert ALL.merged(("email:e", "anonymous_id:a"), ("user_id:u", "email:e")) == (
        "user_id:u", "email:e", "anonymous_id:a",
    )  # fmt: skip
