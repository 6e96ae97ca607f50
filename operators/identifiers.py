"""Identifiers: from what an event says to the keys that identity is resolved by.

A key is `type:value` with the value in its normal form, `email:ann@example.com`. Junk values (what
tills and test systems fill in when they know nothing) give no key, so they never link two people.
A phone number is shared by a household, so it counts only together with a name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import phonenumbers
from email_validator import EmailNotValidError, validate_email

TYPES = ("user_id", "loyalty", "email", "phone_name", "anonymous_id", "device_id")

JUNK = frozenset(
    "null none nil undefined unknown anonymous guest test n/a na nan - 0 "
    "00000000-0000-0000-0000-000000000000 test@test.com test@example.com none@none.com "
    "no@email.com noemail@noemail.com a@a.com "
    "false true admin user customer".split(" ")
) | {"", "[object object]", "not available"}


class Policy(NamedTuple):
    """How one identifier type links. `limit` 0 means any number of values per customer."""

    type: str
    limit: int = 0
    junk: frozenset[str] = frozenset()


class _Traits(Protocol):
    email: str | None
    phone: str | None
    name: str | None
    firstName: str | None
    lastName: str | None
    loyaltyNumber: str | None


class Identifiers:
    """Turns the raw identifiers of an event into keys, strongest first.

    Parameters
    ----------
    policies
        One per identifier type in use, in order of priority.
    region
        ISO 3166 code that phone numbers without a country code belong to.

    >>> ids = Identifiers([Policy("user_id"), Policy("anonymous_id")], region="US")
    >>> ids.keys("u1", "cookie-7", None, None)
    ('user_id:u1', 'anonymous_id:cookie-7')
    >>> ids.keys("undefined", "cookie-7", None, None)
    ('anonymous_id:cookie-7',)
    """

    def __init__(self, policies: Sequence[Policy], region: str) -> None:
        self._rank = {policy.type: rank for rank, policy in enumerate(policies)}
        self._junk = {policy.type: JUNK | policy.junk for policy in policies}
        self._region = region
        self._emails: dict[str, str | None] = {}
        self._phones: dict[str, str | None] = {}

    def keys(
        self, user: str | int | None, anonymous: str | int | None, device: str | None, traits: _Traits | None
    ) -> tuple[str, ...]:
        """The keys of one event, strongest first, without repeats; empty when nothing usable is there."""
        rank = self._rank
        found: list[tuple[int, str]] = []
        if user is not None and "user_id" in rank:
            self._plain(found, "user_id", user)
        if anonymous is not None and "anonymous_id" in rank:
            self._plain(found, "anonymous_id", anonymous)
        if device is not None and "device_id" in rank:
            self._plain(found, "device_id", device)
        if traits is not None:
            self._from_traits(found, traits)
        if len(found) > 1:
            found = sorted(set(found))
        return tuple([key for _, key in found])

    def merged(self, one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
        """Both sets of keys, strongest first, without repeats."""
        rank = self._rank
        return tuple(sorted({*one, *other}, key=lambda key: (rank[key.partition(":")[0]], key)))

    def email_key(self, raw: str) -> str | None:
        """The key of an e-mail address, None when it is junk or not an address."""
        email = self._email(raw)
        return None if email is None or email in self._junk.get("email", JUNK) else f"email:{email}"

    def phone_key(self, raw: str) -> str | None:
        """A phone number in its normal form, `phone:+1...`; None when it is junk. It identifies nobody."""
        phone = self._phone(raw)
        return None if phone is None else f"phone:{phone}"

    def _plain(self, found: list[tuple[int, str]], kind: str, value: str | int) -> None:
        text = value.strip() if type(value) is str else str(value)
        if text.lower() not in self._junk[kind]:
            found.append((self._rank[kind], f"{kind}:{text}"))

    def _from_traits(self, found: list[tuple[int, str]], traits: _Traits) -> None:
        rank = self._rank
        if traits.loyaltyNumber is not None and "loyalty" in rank:
            self._plain(found, "loyalty", traits.loyaltyNumber.upper())
        if traits.email is not None and "email" in rank:
            email = self.email_key(traits.email)
            if email is not None:
                found.append((rank["email"], email))
        if traits.phone is not None and "phone_name" in rank:
            phone = self._phone(traits.phone)
            name = person_name(traits.name or f"{traits.firstName or ''} {traits.lastName or ''}")
            if phone is not None and name and name not in self._junk["phone_name"]:
                found.append((rank["phone_name"], f"phone_name:{phone} {name}"))

    def _email(self, raw: str) -> str | None:
        try:
            return self._emails[raw]
        except KeyError:
            pass
        email = _normal_email(raw)
        if len(self._emails) > 100_000:
            self._emails.clear()
        self._emails[raw] = email
        return email

    def _phone(self, raw: str) -> str | None:
        try:
            return self._phones[raw]
        except KeyError:
            pass
        phone = _normal_phone(raw, self._region)
        if len(self._phones) > 100_000:
            self._phones.clear()
        self._phones[raw] = phone
        return phone


def person_name(raw: str) -> str:
    """A name without case, accents, punctuation and order: parts sorted, joined by a space.

    >>> person_name("  Müller, ANNA ")
    'anna muller'
    """
    plain = unicodedata.normalize("NFKD", raw.casefold())
    letters = "".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return " ".join(sorted(letters.split()))


def _normal_email(raw: str) -> str | None:
    text = raw.strip().lower()
    if text in JUNK:
        return None
    try:
        return validate_email(text, check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError:
        return None


def _normal_phone(raw: str, region: str) -> str | None:
    digits = [c for c in raw if c.isdigit()]
    if len(set(digits)) < 3:
        return None
    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
