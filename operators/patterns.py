"""Open patterns: the intent of one customer, per key (a cart, a product), until it is decided.

What is kept are maxima and unions, so two customers' patterns merge into what one customer's would have
been, in any order, and what was decided once stays decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from operators.parts import Line, Mark, Pattern, Patterns

MOST_LINES: Final = 200
MOST_KEYS: Final = 512  # of one rule and customer; a crawler looks at everything, a person does not
_new: Final = Pattern  # what is final is not looked up by its name
_LOOK_FROM: Final = 16  # keys; from here on each time that there are twice as many


class Basket(NamedTuple):
    lines: list[Line]
    value: int
    items: int


@dataclass(frozen=True)
class Room:
    """What a rule remembers of a customer: a key without consequence for `horizon` ms, `lasting` ones as long
    as they are open, until they are decided. `basket`: open only while something lies in the basket."""

    horizon: int
    lasting: bool
    basket: bool


def touch(patterns: Patterns, key: str, at: int, cause: str, room: Room) -> Pattern:
    """`key` was begun or changed at `at`, by the event with the message id `cause`."""
    keys = patterns.keys
    pattern = keys.get(key)
    if pattern is None:
        _make_room(patterns, keys, patterns.once, at, room)
        pattern = keys[key] = Pattern(at, cause)
    elif at > pattern.since or (at == pattern.since and cause > pattern.cause):
        pattern.since, pattern.cause = at, cause
    return pattern


def seen_before(patterns: Patterns, key: str, at: int, what: Any, room: Room) -> Pattern | None:
    """The pattern of `key` for another mark; None when `what` at `at` is the first, which is then noted."""
    keys, once = patterns.keys, patterns.once
    pattern = _pattern(keys, once, key)
    if pattern is None:
        _make_room(patterns, keys, once, at, room)
        once[key] = at, what
    return pattern


def _pattern(keys: dict[str, Pattern], once: dict[str, Mark], key: str) -> Pattern | None:
    pattern = keys.get(key) if keys else None
    if pattern is None and once and key in once:
        pattern = keys[key] = _marked(once.pop(key))
    return pattern


def _marked(mark: Mark) -> Pattern:
    return Pattern(mark[0], "", -1, -1, -1, [], [mark])


def stop_all(patterns: Patterns, at: int) -> None:
    """The reason is gone, whatever the key."""
    if at > patterns.until:
        patterns.until = at


def stop(patterns: Patterns, key: str, at: int, room: Room) -> None:
    """The reason is gone for `key`."""
    keys, once = patterns.keys, patterns.once
    pattern = _pattern(keys, once, key)
    if pattern is None:
        _make_room(patterns, keys, once, at, room)
        keys[key] = _new(-1, "", at)
    elif at > pattern.until:
        pattern.until = at
        if pattern.lines or pattern.marks:
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


def add_mark(pattern: Pattern, at: int, what: Any) -> None:
    pattern.marks.append((at, what))
    if len(pattern.marks) > MOST_LINES:
        _trim(pattern)


def add_thing(pattern: Pattern, at: int, thing: str) -> None:
    """A mark of `thing`, of which only the last time counts."""
    marks = pattern.marks
    for index, mark in enumerate(marks):
        if mark[1] == thing:
            if at > mark[0]:
                marks[index] = (at, thing)
            return
    add_mark(pattern, at, thing)


def repeated(patterns: Patterns, pattern: Pattern, within: int) -> list[Mark]:
    """The marks of the last `within` ms, since it was last decided or taken away; the others can never
    count again and are let go."""
    after = max(patterns.until, pattern.until, pattern.fired, pattern.since - within)
    marks = pattern.marks
    for at, _ in marks:
        if at <= after:
            marks = pattern.marks = [mark for mark in marks if mark[0] > after]
            break
    return marks


def highest(patterns: Patterns, pattern: Pattern, at: int, number: int, within: int) -> Mark | None:
    """Marks `number` and gives the highest mark of the `within` ms before `at`, since the last decision,
    None when there is none. What is no higher than `number` is let go: it can never be the highest again."""
    marks = pattern.marks
    if not marks or (len(marks) == 1 and marks[0][1] == number and marks[0][0] <= at):
        pattern.marks = [(at, number)]
        return None
    if at < pattern.since:
        add_mark(pattern, at, number)
        return None
    after = max(patterns.until, pattern.until, pattern.fired - 1, at - within)
    higher = [mark for mark in marks if mark[0] > after and type(mark[1]) is int and mark[1] > number]
    pattern.marks = [*higher, (at, number)][-MOST_LINES:]
    return max(higher, key=lambda mark: (mark[1], -mark[0]), default=None)


def _make_room(
    patterns: Patterns, keys: dict[str, Pattern], once: dict[str, Mark], at: int, room: Room
) -> None:
    """Before a new key at `at`: now and then forget keys without consequence; of MOST_KEYS, whatever they
    are, the half that was touched last remains."""
    many = len(keys) + len(once)
    if many < _LOOK_FROM or (many & (many - 1) and many < MOST_KEYS):
        return
    forget(patterns, at - room.horizon, room)
    if len(keys) + len(once) >= MOST_KEYS:
        touched = [(at, key) for key, (at, _) in once.items()]
        touched += [(_touched(pattern), key) for key, pattern in keys.items()]
        for _, old in sorted(touched)[: -MOST_KEYS // 2]:
            keys.pop(old, None)
            once.pop(old, None)


def forget(patterns: Patterns, older_than: int, room: Room) -> None:
    """Drop keys without consequence: untouched since `older_than`, and with nothing left to decide."""
    keys, once = patterns.keys, patterns.once
    for key in [key for key, (at, _) in once.items() if at < older_than]:
        del once[key]
    for key in [key for key, pattern in keys.items() if _untouched(pattern, older_than)]:
        if not room.lasting or not is_open(patterns, keys[key], room.basket):
            del keys[key]


def merge(patterns: Patterns, other: Patterns) -> Patterns:
    """Both, as if one customer had done it all."""
    patterns.until = max(patterns.until, other.until)
    for key, mark in other.once.items():
        if key in patterns.keys or key in patterns.once:
            other.keys[key] = _marked(mark)
        else:
            patterns.once[key] = mark
    for key, theirs in other.keys.items():
        mine = _pattern(patterns.keys, patterns.once, key)
        if mine is None:
            patterns.keys[key] = theirs
            continue
        mine.since, mine.cause = max((mine.since, mine.cause), (theirs.since, theirs.cause))
        mine.until = max(mine.until, theirs.until)
        mine.fired = max(mine.fired, theirs.fired)
        mine.below = max(mine.below, theirs.below)
        mine.lines += theirs.lines
        mine.marks += theirs.marks
        _trim(mine)
    return patterns


def _touched(pattern: Pattern) -> int:
    return max(pattern.since, pattern.until, pattern.fired)


def _untouched(pattern: Pattern, since: int) -> bool:
    return pattern.until < since and pattern.since < since and pattern.fired < since


def _trim(pattern: Pattern) -> None:
    """Drop what is before the last stop; beyond MOST_LINES the oldest go."""
    if pattern.lines:
        pattern.lines = sorted(
            (line for line in pattern.lines if line.at > pattern.until),
            key=lambda line: (line.at, line.product, line.quantity),
        )[-MOST_LINES:]
    if pattern.marks:
        after = max(pattern.until, pattern.fired - 1)
        left = [mark for mark in pattern.marks if mark[0] > after]
        pattern.marks = sorted(left, key=lambda mark: (mark[0], str(mark[1])))[-MOST_LINES:]
