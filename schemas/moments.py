"""Moments as contracts and messages write them."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(ms: int) -> str:
    """RFC 3339 in UTC, of milliseconds since 1970.

    >>> rfc3339(1_569_888_000_123)
    '2019-10-01T00:00:00.123Z'
    """
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def say(ms: int) -> str:
    """`ms` since 1970 for people.

    >>> say(1_298_937_600_000), say(-1)
    ('2011-03-01 00:00:00 UTC', 'never')
    """
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if ms >= 0 else "never"
