"""Identifiers: from what an event says to the keys that identity is resolved by.

A key is `type:value` with the value in its normal form, `email:ann@example.com`. Junk values (what
tills and test systems fill in when they know nothing) give no key, so they never link two people.
A phone number is shared by a household, so it counts only together with a name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from operators import junk
from operators.countries import Countries

TYPES = ("user_id", "loyalty", "email", "phone_name", "anonymous_id", "device_id")

MOST_LETTERS: Final = 512  # of an identifier; what is longer is a token or a page, and nobody's
_MOST_KEPT = 50_000  # normal forms remembered, of each kind
_LONGEST = 320  # letters of an address, a number or a name that is worth normalising
# Addresses as nearly all are: valid, and in their normal form but for case.
_PLAIN_EMAIL = re.compile(
    r"(?=.{1,254}$)(?=[^@]{1,64}@)[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@"
    r"(?:[a-z0-9](?:[a-z0-9]|-(?!-)){0,61}(?<!-)\.)+([a-z]{2,63})"
)
# Nobody gets mail there (RFC 6761 and others, as email-validator has them).
_SPECIAL = frozenset({"arpa", "invalid", "local", "localhost", "onion", "test"})

V = TypeVar("V")


class Policy(NamedTuple):
    """How one identifier type links. `limit` 0 means any number of values per customer."""

    type: str
    limit: int = 0
    junk: frozenset[str] = frozenset()


class _Type:
    """An identifier type in use: its place among them, what its keys begin with, its junk values."""

    def __init__(self, name: str, rank: int, junk: frozenset[str]) -> None:
        self.rank = rank
        self.prefix = name + ":"
        self.junk = junk


class _Traits(Protocol):
    email: str | None
    phone: str | None
    name: str | None
    firstName: str | None
    lastName: str | None
    loyaltyNumber: str | None
    address: Any


class Identifiers:
    """Turns the raw identifiers of an event into keys, strongest first.

    Parameters
    ----------
    policies
        One per identifier type in use, in order of priority.
    region
        ISO 3166 code that phone numbers without a country code belong to, unless the event has an
        address in another country.

    >>> ids = Identifiers([Policy("user_id"), Policy("anonymous_id")], region="US")
    >>> ids.keys("u1", "cookie-7", None, None)
    ('user_id:u1', 'anonymous_id:cookie-7')
    >>> ids.keys("undefined", "cookie-7", None, None)
    ('anonymous_id:cookie-7',)
    """

    def __init__(self, policies: Sequence[Policy], region: str) -> None:
        used = {it.type: _Type(it.type, rank, junk.COMMON | it.junk) for rank, it in enumerate(policies)}
        self._types = used
        self._user_id, self._anonymous_id = used.get("user_id"), used.get("anonymous_id")
        self._device_id, self._loyalty = used.get("device_id"), used.get("loyalty")
        self._named, self._mail = used.get("phone_name"), used.get("email")
        if self._named is not None:
            numbers = {_normal_phone(it, region) for it in self._named.junk}
            self._named.junk |= junk.NAMES | {it for it in numbers if it is not None}
        self._region = region
        self._countries = Countries(region)
        self._emails: dict[str, str | None] = {}
        self._phones: dict[str, dict[str, str | None]] = {}
        self._names: dict[str, str] = {}

    def keys(
        self, user: str | int | None, anonymous: str | int | None, device: str | None, traits: _Traits | None
    ) -> tuple[str, ...]:
        """The keys of one event, strongest first, without repeats; empty when nothing usable is there."""
        found: list[tuple[int, str]] = []
        if user is not None and self._user_id is not None:
            _plain(found, self._user_id, user)
        if anonymous is not None and self._anonymous_id is not None:
            _plain(found, self._anonymous_id, anonymous)
        if device is not None and self._device_id is not None:
            _plain(found, self._device_id, device)
        if traits is not None:
            self._from_traits(found, traits)
        if len(found) == 1:
            return (found[0][1],)
        return tuple([key for _, key in sorted(set(found))])

    def merged(self, one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
        """Both sets of keys, strongest first, without repeats."""
        types = self._types
        return tuple(sorted({*one, *other}, key=lambda key: (types[key.partition(":")[0]].rank, key)))

    def email_key(self, raw: str) -> str | None:
        """The key of an e-mail address, None when it is junk or not an address."""
        email = self._email(raw)
        unwanted = junk.COMMON if self._mail is None else self._mail.junk
        return None if email is None or email in unwanted else f"email:{email}"

    def phone_key(self, raw: str, address: Any = None) -> str | None:
        """A phone number in its normal form, `phone:+1...`; None when it is junk. It identifies nobody."""
        phone = self._phone(raw, self._home(address))
        return None if phone is None else f"phone:{phone}"

    def _from_traits(self, found: list[tuple[int, str]], traits: _Traits) -> None:
        if traits.loyaltyNumber is not None and self._loyalty is not None:
            _plain(found, self._loyalty, traits.loyaltyNumber.upper())
        if traits.email is not None and self._mail is not None:
            email = self.email_key(traits.email)
            if email is not None:
                found.append((self._mail.rank, email))
        if traits.phone is not None and self._named is not None:
            phone = self._phone(traits.phone, self._home(traits.address))
            name = self._name(traits.name or f"{traits.firstName or ''} {traits.lastName or ''}")
            known = self._named.junk
            if phone is not None and name and name not in known and phone not in known:
                found.append((self._named.rank, f"phone_name:{phone} {name}"))

    def _home(self, address: Any) -> str:
        """The region that a phone number without a country code belongs to."""
        country = address.get("country") if type(address) is dict else None
        return (self._countries.code(country) if type(country) is str else None) or self._region

    def _email(self, raw: str) -> str | None:
        return _remembered(self._emails, raw, _normal_email, None)

    def _phone(self, raw: str, region: str) -> str | None:
        phones = self._phones.setdefault(region, {})
        return _remembered(phones, raw, lambda it: _normal_phone(it, region), None)

    def _name(self, raw: str) -> str:
        return _remembered(self._names, raw, person_name, "")


def _plain(found: list[tuple[int, str]], type: _Type, value: str | int) -> None:
    text = value.strip() if isinstance(value, str) else str(value)
    if text.lower() not in type.junk and len(text) <= MOST_LETTERS:
        found.append((type.rank, type.prefix + text))


def _remembered(known: dict[str, V], raw: str, normal: Callable[[str], V], nothing: V) -> V:
    """The normal form of `raw`, found once: finding it is slow (measured: a number 42 µs) and the same values
    come often."""
    try:
        return known[raw]
    except KeyError:
        pass
    if len(raw) > _LONGEST:
        return nothing
    if len(known) >= _MOST_KEPT:
        known.clear()
    found = known[raw] = normal(raw)
    return found


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
    if text in junk.COMMON:
        return None
    plain = _PLAIN_EMAIL.fullmatch(text)
    if plain is not None and plain[1] not in _SPECIAL:  # else 66 µs
        return None if junk.is_junk_email(text) else text
    # Imported when first needed: few addresses come here, and it takes a tenth of the time a start takes.
    from email_validator import EmailNotValidError, validate_email

    try:
        checked = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    # The domain as IDNA writes it, so that both ways of writing it are one address.
    email = f"{checked.local_part}@{checked.ascii_domain}".lower()
    return None if junk.is_junk_email(email) else email


def _normal_phone(raw: str, region: str) -> str | None:
    if junk.is_junk_phone(raw):
        return None
    import phonenumbers  # like email_validator; a playbook with phone numbers imports it when it is loaded

    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
