"""Open patterns: the intent of one customer, per key (a cart, a product), until it is decided.

`Absence`: something was begun and is not finished in time. `Repeat`: something was done several times.
Both keep only maxima and unions, so two customers' patterns merge into what one customer's would have
been, in any order, and what was decided once stays decided.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

MOST_LINES = 200


class Line(msgspec.Struct, array_like=True, gc=False):
    """A change of a basket: `quantity` is negative when taken out. `price` in minor units."""

    at: int
    product: str
    quantity: int
    price: int | None = None
    name: str | None = None


class Pattern(msgspec.Struct, array_like=True, gc=False):
    """One key's state. `until`: the last event that took the reason away; `fired`: the `since` of the
    last decision; `times` are kept only where repetition counts. All in ms of event time."""

    since: int = -1
    cause: str = ""
    until: int = -1
    fired: int = -1
    lines: list[Line] = []
    times: list[int] = []


class Patterns(msgspec.Struct, array_like=True, gc=False):
    """All keys of one rule. `until` counts for every key: an order that names no cart."""

    until: int = -1
    keys: dict[str, Pattern] = {}


class Basket(NamedTuple):
    lines: list[Line]
    value: int
    items: int


def touch(patterns: Patterns, key: str, at: int, cause: str) -> Pattern:
    """`key` was begun or changed at `at`, by the event with the message id `cause`."""
    pattern = patterns.keys.get(key)
    if pattern is None:
        pattern = patterns.keys[key] = Pattern(lines=[], times=[])
    if (at, cause) > (pattern.since, pattern.cause):
        pattern.since, pattern.cause = at, cause
    return pattern


def stop(patterns: Patterns, key: str | None, at: int) -> None:
    """The reason is gone, for `key` or (None) for all."""
    if key is None:
        patterns.until = max(patterns.until, at)
        return
    pattern = patterns.keys.get(key)
    if pattern is None:
        pattern = patterns.keys[key] = Pattern(lines=[], times=[])
    if at > pattern.until:
        pattern.until = at
        _trim(pattern)


def is_open(patterns: Patterns, pattern: Pattern, with_basket: bool) -> bool:
    """Whether an absence is still to be decided."""
    since = pattern.since
    if since <= pattern.until or since <= pattern.fired or since <= patterns.until:
        return False
    return not with_basket or basket(patterns, pattern).items > 0


def settle(patterns: Patterns, up_to: int, with_basket: bool) -> None:
    """Count what was begun by `up_to` as decided."""
    for pattern in patterns.keys.values():
        if pattern.since <= up_to and is_open(patterns, pattern, with_basket):
            pattern.fired = pattern.since


def basket(patterns: Patterns, pattern: Pattern) -> Basket:
    """What lies in the basket: lines since the last order, added up per product."""
    after = max(patterns.until, pattern.until)
    held: dict[str, Line] = {}
    for line in sorted(pattern.lines, key=lambda line: line.at):
        if line.at <= after:
            continue
        old = held.get(line.product)
        quantity = max(0, line.quantity + (old.quantity if old else 0))
        price = line.price if line.price is not None else old.price if old else None
        held[line.product] = Line(
            line.at, line.product, quantity, price, line.name or (old.name if old else None)
        )
    lines = [line for line in held.values() if line.quantity > 0]
    return Basket(
        lines, sum(line.quantity * (line.price or 0) for line in lines), sum(line.quantity for line in lines)
    )


def add_line(pattern: Pattern, line: Line) -> None:
    pattern.lines.append(line)
    if len(pattern.lines) > MOST_LINES:
        _trim(pattern)


def add_time(pattern: Pattern, at: int) -> None:
    pattern.times.append(at)
    if len(pattern.times) > MOST_LINES:
        _trim(pattern)


def repeated(patterns: Patterns, pattern: Pattern, within: int) -> int:
    """How often it was done in the last `within` ms, since it was last decided or taken away."""
    after = max(patterns.until, pattern.until, pattern.fired, pattern.since - within)
    times = pattern.times
    return len(times) if not times or min(times) > after else len([at for at in times if at > after])


def forget(patterns: Patterns, older_than: int, with_basket: bool) -> None:
    """Drop keys that can have no consequence any more: decided and untouched since `older_than`."""
    for key, pattern in list(patterns.keys.items()):
        if max(pattern.since, pattern.until, pattern.fired) < older_than and not is_open(
            patterns, pattern, with_basket
        ):
            del patterns.keys[key]


def merge(patterns: Patterns, other: Patterns) -> Patterns:
    """Both, as if one customer had done it all."""
    patterns.until = max(patterns.until, other.until)
    for key, theirs in other.keys.items():
        mine = patterns.keys.get(key)
        if mine is None:
            patterns.keys[key] = theirs
            continue
        mine.since, mine.cause = max((mine.since, mine.cause), (theirs.since, theirs.cause))
        mine.until = max(mine.until, theirs.until)
        mine.fired = max(mine.fired, theirs.fired)
        mine.lines += theirs.lines
        mine.times += theirs.times
        _trim(mine)
    return patterns


def _trim(pattern: Pattern) -> None:
    """Drop what is before the last stop; beyond MOST_LINES the oldest go."""
    if pattern.lines:
        pattern.lines = sorted(
            (line for line in pattern.lines if line.at > pattern.until),
            key=lambda line: (line.at, line.product, line.quantity),
        )[-MOST_LINES:]
    if pattern.times:
        after = max(pattern.until, pattern.fired)
        pattern.times = sorted(at for at in pattern.times if at > after)[-MOST_LINES:]
