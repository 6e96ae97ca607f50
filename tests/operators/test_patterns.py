"""Open patterns."""

from __future__ import annotations

from operators import patterns
from operators.parts import Line, Patterns
from operators.patterns import MOST_LINES, Basket, Room

CARTS = Room(horizon=100, lasting=True, basket=True)
LOOKS = Room(horizon=100, lasting=False, basket=False)


def cart(*lines: Line) -> Patterns:
    found = Patterns(keys={}, once={})
    for line in lines:
        pattern = patterns.touch(found, "c1", line.at, f"m{line.at}", CARTS)
        patterns.add_line(pattern, line)
    return found


def basket(found: Patterns) -> Basket:
    return patterns.basket(found, found.keys["c1"])


def is_open(found: Patterns) -> bool:
    return patterns.is_open(found, found.keys["c1"], True)


def test_a_basket_adds_up_what_was_put_in_and_taken_out() -> None:
    found = cart(Line(1, "p1", 2, 1000), Line(2, "p2", 1, 500), Line(3, "p1", -1))
    assert [(line.product, line.quantity, line.price) for line in basket(found).lines] == [
        ("p1", 1, 1000), ("p2", 1, 500),
    ]  # fmt: skip
    assert (basket(found).value, basket(found).items) == (1500, 2)


def test_more_taken_out_than_was_in_is_an_empty_basket_and_no_debt() -> None:
    found = cart(Line(1, "p1", -5), Line(2, "p1", 1))
    assert basket(found).items == 1


def test_lines_count_in_the_order_of_their_times_not_of_their_arrival() -> None:
    assert not is_open(cart(Line(2, "p1", -1), Line(1, "p1", 1)))


def test_a_stop_closes_what_was_begun_before_it_and_nothing_later() -> None:
    found = cart(Line(1, "p1", 1))
    patterns.stop(found, "c1", 5, CARTS)
    assert not is_open(found)
    patterns.add_line(patterns.touch(found, "c1", 6, "m6", CARTS), Line(6, "p2", 1))
    assert is_open(found)
    assert [line.product for line in basket(found).lines] == ["p2"]


def test_a_stop_without_key_closes_all() -> None:
    found = cart(Line(1, "p1", 1))
    patterns.stop_all(found, 5)
    assert not is_open(found)


def test_a_stop_that_is_known_before_the_beginning_counts() -> None:
    found = Patterns(keys={}, once={})
    patterns.stop(found, "c1", 5, CARTS)
    patterns.add_line(patterns.touch(found, "c1", 3, "late", CARTS), Line(3, "p1", 1))
    assert not is_open(found)


def test_what_was_decided_is_not_open_until_it_is_touched_again() -> None:
    found = cart(Line(1, "p1", 1))
    found.keys["c1"].fired = 1
    assert not is_open(found)
    patterns.touch(found, "c1", 2, "m2", CARTS)
    assert is_open(found)


def test_what_is_settled_counts_as_decided_and_later_things_stay_open() -> None:
    found = cart(Line(1, "p1", 1))
    patterns.add_line(patterns.touch(found, "c2", 9, "m9", CARTS), Line(9, "p1", 1))
    patterns.settle(found, 5, True)
    assert [patterns.is_open(found, found.keys[key], True) for key in ("c1", "c2")] == [False, True]


def test_repetitions_count_within_their_time_and_since_the_last_decision() -> None:
    found = Patterns(keys={}, once={})
    for at in (1, 8, 12):
        patterns.add_mark(patterns.touch(found, "p1", at, f"m{at}", CARTS), at, 0)
    mine = found.keys["p1"]
    assert len(patterns.repeated(found, mine, within=100)) == 3
    assert len(patterns.repeated(found, mine, within=10)) == 2
    mine.fired = 8
    assert len(patterns.repeated(found, mine, within=100)) == 1


def test_of_a_thing_only_the_last_time_counts() -> None:
    found = Patterns(keys={}, once={})
    for at, thing in ((1, "p1"), (8, "p2"), (12, "p1"), (9, "p1")):
        patterns.add_thing(patterns.touch(found, "shoes", at, f"m{at}", CARTS), at, thing)
    assert patterns.repeated(found, found.keys["shoes"], within=100) == [(12, "p1"), (8, "p2")]


def saw(found: Patterns, at: int, price: int, within: int = 100) -> patterns.Mark | None:
    return patterns.highest(found, patterns.touch(found, "p1", at, f"m{at}", CARTS), at, price, within)


def test_a_price_is_compared_with_the_highest_that_was_seen_within_the_time() -> None:
    found = Patterns(keys={}, once={})
    assert [saw(found, at, price) for at, price in ((1, 90), (2, 100), (3, 95), (4, 80))] == [
        None, None, (2, 100), (2, 100),
    ]  # fmt: skip
    assert saw(found, 102, 70) == (3, 95)


def test_a_price_seen_before_the_product_was_bought_is_no_price_to_compare_with() -> None:
    found = Patterns(keys={}, once={})
    saw(found, 1, 100)
    patterns.stop(found, "p1", 2, CARTS)
    assert saw(found, 3, 50) is None


def test_a_price_that_is_learnt_of_late_is_remembered_and_decides_nothing() -> None:
    found = Patterns(keys={}, once={})
    saw(found, 5, 80)
    assert saw(found, 3, 100) is None
    assert saw(found, 6, 80) == (3, 100)


def test_somebody_who_looks_at_everything_is_not_remembered_without_bound() -> None:
    found = Patterns(keys={}, once={})
    for number in range(100_000):
        key = f"p{number}"
        patterns.seen_before(found, key, number, 0, LOOKS)
    assert len(found.once) <= patterns.MOST_KEYS
    assert key in found.once


def test_of_a_merge_the_later_touch_and_the_union_of_the_lines_remain() -> None:
    mine, theirs = cart(Line(1, "p1", 1)), cart(Line(4, "p2", 1))
    patterns.stop(theirs, "c2", 7, CARTS)
    merged = patterns.merge(mine, theirs)
    assert (merged.keys["c1"].since, merged.keys["c1"].cause) == (4, "m4")
    assert [line.product for line in basket(merged).lines] == ["p1", "p2"]
    assert merged.keys["c2"].until == 7


def test_only_what_can_have_no_consequence_is_forgotten() -> None:
    found = cart(Line(1, "p1", 1))
    patterns.stop(found, "done", 2, CARTS)
    patterns.forget(found, 3, CARTS)
    assert list(found.keys) == ["c1"]


def test_what_was_seen_too_long_ago_to_count_is_forgotten() -> None:
    found = Patterns(keys={}, once={})
    patterns.seen_before(found, "old", 1, 0, LOOKS)
    patterns.seen_before(found, "new", 5, 0, LOOKS)
    patterns.touch(found, "twice", 2, "m2", CARTS)
    patterns.forget(found, 3, LOOKS)
    assert (list(found.keys), list(found.once)) == ([], ["new"])


def test_what_was_seen_once_counts_when_it_is_seen_again() -> None:
    found = Patterns(keys={}, once={})
    assert patterns.seen_before(found, "p1", 1, 0, LOOKS) is None
    pattern = patterns.seen_before(found, "p1", 4, 0, LOOKS)
    assert pattern is not None
    patterns.add_mark(pattern, 4, 0)
    assert patterns.repeated(found, pattern, within=100) == [(1, 0), (4, 0)]


def test_what_was_seen_once_by_each_of_two_was_seen_twice_by_both() -> None:
    mine, theirs = Patterns(keys={}, once={}), Patterns(keys={}, once={})
    for at, found in ((1, mine), (4, theirs)):
        patterns.seen_before(found, "p1", at, 0, LOOKS)
    patterns.seen_before(theirs, "p2", 5, 0, LOOKS)
    merged = patterns.merge(mine, theirs)
    assert merged.keys["p1"].marks == [(1, 0), (4, 0)]
    assert merged.once == {"p2": (5, 0)}


def test_a_cart_keeps_its_newest_lines() -> None:
    found = cart(*(Line(at, f"p{at}", 1) for at in range(MOST_LINES + 5)))
    assert basket(found).items == MOST_LINES
    assert basket(found).lines[-1].product == f"p{MOST_LINES + 4}"
