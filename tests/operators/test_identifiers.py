"""From what an event says to keys."""

from __future__ import annotations

import pytest
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from operators.identifiers import TYPES, Identifiers, Policy, person_name
from operators.junk import is_junk_email
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


def test_an_international_domain_is_the_same_however_it_is_written() -> None:
    assert of(email="jörg@Müller.de") == of(email="jörg@xn--mller-kva.de") == ("email:jörg@xn--mller-kva.de",)


def test_dots_and_tags_in_an_address_are_part_of_it() -> None:
    assert of(email="ann.lee+shop@gmail.com") == ("email:ann.lee+shop@gmail.com",)


@pytest.mark.parametrize("email", ["noreply@shop.com", "test@test.com", "No-Reply@acme.io", "a@a.com"])
def test_nobodys_addresses_give_no_key(email: str) -> None:
    assert of(email=email) == ()


def test_a_number_without_country_code_belongs_to_the_scopes_region_or_the_addresss_country() -> None:
    german = Identifiers([Policy("phone_name")], "DE")
    ann = {"phone": "030 1234567", "name": "Ann Lee"}
    assert german.keys(None, None, None, Traits(**ann)) == ("phone_name:+49301234567 ann lee",)
    for country in ("AT", "AUT", "Österreich", "austria"):
        keys = german.keys(None, None, None, Traits(**ann, address={"country": country}))
        assert keys == ("phone_name:+43301234567 ann lee",)
    for nonsense in ("Atlantis", 7, None, "x" * 10_000):
        keys = german.keys(None, None, None, Traits(**ann, address={"country": nonsense}))
        assert keys == ("phone_name:+49301234567 ann lee",)
    assert german.keys(None, None, None, Traits(**ann, address="Berlin")) == (
        "phone_name:+49301234567 ann lee",
    )


def test_the_shops_own_number_can_be_junk() -> None:
    ids = Identifiers([Policy("phone_name", junk=frozenset({"(212) 555-0199"}))], "US")
    assert ids.keys(None, None, None, Traits(phone="+12125550199", name="Ann Lee")) == ()


@pytest.mark.parametrize("name", ["Test Test", "John Doe", "N/A", "..."])
def test_a_phone_number_with_nobodys_name_gives_no_key(name: str) -> None:
    assert of(phone="(212) 555-0123", name=name) == ()


def test_what_is_too_long_to_be_anybodys_gives_no_key() -> None:
    long = "9" * 513
    assert ALL.keys(long, long, long, Traits(email=f"{long}@a.org", loyaltyNumber=long)) == ()
    assert of(phone="(212) 555-0123", name="x" * 1_000_000) == ()


@pytest.mark.parametrize("phone", ["0000000000", "555", "call me", "11111111", "123456789", "9876543210"])
def test_what_is_no_phone_number_gives_no_key(phone: str) -> None:
    assert of(phone=phone, name="Ann Lee") == ()


def test_names_are_compared_without_accents_order_and_punctuation() -> None:
    assert person_name("Müller, Anna") == person_name("anna  MULLER")


def test_merged_keys_keep_their_order_and_do_not_repeat() -> None:
    assert ALL.merged(("email:e", "anonymous_id:a"), ("user_id:u", "email:e")) == (
        "user_id:u", "email:e", "anonymous_id:a",
    )  # fmt: skip


def by_the_library(address: str) -> tuple[str, ...]:
    try:
        checked = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return ()
    return (f"email:{checked.local_part}@{checked.ascii_domain}".lower(),)


@pytest.mark.parametrize("domain", SPECIAL_USE_DOMAIN_NAMES)
def test_domains_that_get_no_mail_are_those_of_the_library(domain: str) -> None:
    address = f"ann.lee@shop.{domain}"
    assert of(email=address) == by_the_library(address)


LABELS = st.text("ab0-", min_size=1, max_size=4) | st.just("a" * 63) | st.just("a" * 64)
DOMAINS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
ENDS = st.sampled_from([".org", ".test", ".local", ".onion", ".c", ".xn--p1ai", ".c-m", ".o1", "", "."])


@given(st.text("ab1.+-_'@ ", min_size=1, max_size=8) | st.just("a" * 64) | st.just("a" * 65), DOMAINS, ENDS)
@example("ann.lee+shop", "mail.example-shop", ".org")
def test_the_short_way_for_plain_addresses_says_what_the_library_says(
    local: str, domain: str, end: str
) -> None:
    address = f"{local}@{domain}{end}".lower()
    if not is_junk_email(address):
        assert of(email=address) == by_the_library(address.strip())
