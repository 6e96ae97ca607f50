"""Values that say nothing: what tills, forms and test systems fill in when they know nothing.

They never link anybody. A playbook adds its own.
"""

from __future__ import annotations

COMMON = frozenset(
    "null none nil undefined unknown anonymous anon guest test testing tester dummy n/a n.a. na nan inf "
    "infinity - -- --- . .. ... _ ? ?? ??? * ** *** xx xxx xxxx 0 00 000 0000 -1 "
    "00000000-0000-0000-0000-000000000000 ffffffff-ffff-ffff-ffff-ffffffffffff "
    "00000000000000000000000000000000 000000000000000 "
    "123456789 1234567890 0123456789 987654321 9876543210 asdf asdfgh qwerty "
    "false true admin administrator user username customer client visitor "
    "default empty blank deleted removed missing invalid placeholder tbd todo".split(" ")
) | {
    "", "[object object]", "not available", "not set", "(not set)", "not provided", "not applicable",
    "no name", "walk in", "walk-in", "${userid}", "{{userid}}", "{{user_id}}", "<user_id>",
}  # fmt: skip

_MAILBOXES = frozenset(
    "noreply no-reply no_reply donotreply do-not-reply do_not_reply mailer-daemon postmaster nobody "
    "none no noemail no-email nomail no-mail test testing tester null undefined unknown na fake anonymous "
    "asdf qwerty abc xxx x a aa aaa".split()
)
_TEST_DOMAINS = frozenset(
    "test.com test.de test.org test.net example.com example.de none.com no.com noemail.com nomail.com "
    "email.com fake.com abc.com asdf.com aaa.com a.com b.com x.com xxx.com na.com null.com unknown.com "
    "domain.com yourdomain.com company.com".split()
)
_ANYBODYS = frozenset(
    "noreply no-reply no_reply donotreply do-not-reply do_not_reply mailer-daemon nobody".split()
)
NAMES = frozenset(
    "doe john|doe jane|test test|test user|name no|in walk|mustermann max|mustermann erika|first last|"
    "first firstname last lastname|firstname lastname|a n|guest user|customer walk in|cash customer|"
    "customer guest|customer unknown|customer new".split("|")
)
_RUN = "01234567890123456789"


def is_junk_email(address: str) -> bool:
    """Of an address in its normal form: nobody's mailbox, or one at a domain that stands for any.

    >>> [is_junk_email(it) for it in ("noreply@shop.com", "test@test.com", "test@acme.com", "ann@x.com")]
    [True, True, False, False]
    """
    mailbox, _, domain = address.rpartition("@")
    return mailbox in _ANYBODYS or (mailbox in _MAILBOXES and domain in _TEST_DOMAINS)


def is_junk_phone(raw: str) -> bool:
    """Too few different digits, or a run up or down.

    >>> [is_junk_phone(it) for it in ("000-000-0000", "123456789", "+1 212 555 0123")]
    [True, True, False]
    """
    digits = "".join(c for c in raw if c.isdigit())
    return len(set(digits)) < 3 or digits in _RUN or digits in _RUN[::-1]
