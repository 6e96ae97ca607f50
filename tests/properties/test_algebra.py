"""What may be merged in any order, may be merged in any order."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from operators import features, patterns, records
from operators.features import Feature
from operators.parts import Core, Line, Measured, Patterns, Sent
from operators.readings import Readings
from operators.records import CORE_MERGES, MERGES, Kept, Record
from schemas.playbook import Aggregate
from tests.properties.logs import law

DAY = 86_400_000
AGGREGATES: tuple[Aggregate, ...] = Aggregate.__args__  # type: ignore[attr-defined]
FEATURES = [
    Feature(f"{aggregate}_{window}", "m", aggregate, window)
    for aggregate in AGGREGATES
    for window in ((0, 30_000, 1_800_000, DAY) if aggregate != "open" else (0,))
]
values = st.lists(
    st.tuples(
        st.integers(0, 3 * DAY // 60_000).map(lambda m: m * 60_000),
        st.sampled_from("abcdef"),
        st.sampled_from(["m", "m", "m", "-m"]),
    ),
    max_size=60,
)
SHOWN = [feature for feature in FEATURES if feature.aggregate not in ("sum", "mean")]
TOTALS = [Feature(it.name, "n", it.aggregate, it.window) for it in FEATURES if it not in SHOWN]
PLAN = features.plan([*SHOWN, *TOTALS])


def panes(of: list[tuple[int, str, str]]) -> Measured:
    """As the fold would keep it: text for most, the same as a number for sums."""
    found = Measured(forms=[], rows=[])
    for at, value, slot in of:
        features.add(found, PLAN, slot, [at, value])
        if slot == "m":
            features.add(found, PLAN, "n", [at, ord(value) - 99])
    return found


def merged(*of: list[tuple[int, str, str]]) -> Measured:
    first = panes(of[0])
    for other in of[1:]:
        features.merge(first, panes(other), PLAN)
    return first


def shown(found: Measured, now: int) -> dict[str, Any]:
    said: dict[str, Any] = {}
    Readings(PLAN, [*SHOWN, *TOTALS]).take(found, now, said)
    return said


@law
@given(values, st.randoms(use_true_random=False), st.integers(0, 2 * DAY))
def test_a_feature_does_not_depend_on_the_order_of_its_values(of: Any, random: Any, later: int) -> None:
    other = list(of)
    random.shuffle(other)
    now = max([at for at, _, _ in of], default=0) + later
    assert shown(panes(of), now) == shown(panes(other), now)


@law
@given(values, values, values, st.integers(0, 2 * DAY))
def test_merging_features_is_commutative_and_associative_and_the_same_as_counting_together(
    one: Any, two: Any, three: Any, later: int
) -> None:
    now = max([at for at, _, _ in one + two + three], default=0) + later
    together = shown(panes(one + two + three), now)
    assert shown(merged(one, two, three), now) == together
    assert shown(merged(three, one, two), now) == together
    right = merged(two, three)
    first = panes(one)
    features.merge(first, right, PLAN)
    assert shown(first, now) == together


@law
@given(values, st.integers(0, 4 * DAY))
def test_features_that_were_stored_are_what_they_were(of: Any, now: int) -> None:
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(panes(of)), type=Measured)
    assert shown(stored, now) == shown(panes(of), now)


@law
@given(values, st.lists(st.integers(0, 60), max_size=3), st.integers(0, 2 * DAY))
def test_a_feature_does_not_depend_on_when_its_rows_were_put_into_panes(
    of: Any, pauses: list[int], later: int
) -> None:
    now = max([at for at, _, _ in of], default=0) + later
    found = Measured(forms=[], rows=[])
    for number, (at, value, slot) in enumerate(of):
        features.add(found, PLAN, slot, [at, value])
        if slot == "m":
            features.add(found, PLAN, "n", [at, ord(value) - 99])
        if number in pauses:
            features.settle(found, PLAN)
    assert shown(found, now) == shown(panes(of), now)


deeds = st.lists(
    st.tuples(
        st.sampled_from(["begin", "begin", "stop", "stop-all", "decide"]),
        st.sampled_from(["c0", "c1", "seen"]),
        st.integers(0, 9),
        st.integers(-2, 2),
    ),
    max_size=6,
)


ROOM = patterns.Room(horizon=100, lasting=True, basket=True)


def opened(of: list[tuple[str, str, int, int]], by: str) -> Patterns:
    found = Patterns(keys={}, once={})
    for number, (deed, key, at, quantity) in enumerate(of):
        if deed == "begin" and key == "seen":
            seen = patterns.seen_before(found, key, at, 0, ROOM)
            if seen is not None:
                seen.since = max(seen.since, at)
                patterns.add_mark(seen, at, 0)
        elif deed == "begin":
            pattern = patterns.touch(found, key, at, f"{by}{number}", ROOM)
            patterns.add_line(pattern, Line(at, "p", quantity or 1))
            patterns.add_mark(pattern, at, 0)
        elif deed == "decide" and key in found.keys:
            found.keys[key].fired = found.keys[key].since
        elif deed == "stop":
            patterns.stop(found, key, at, ROOM)
        elif deed == "stop-all":
            patterns.stop_all(found, at)
    return found


def meaning(found: Patterns) -> dict[str, Any]:
    """What can be asked of open patterns."""
    for key, (at, what) in list(found.once.items()):
        patterns.seen_before(found, key, at, what, ROOM)
    return {
        key: (
            patterns.is_open(found, pattern, True),
            patterns.basket(found, pattern),
            sorted(patterns.repeated(found, pattern, 5)),
            (pattern.since, pattern.cause, max(pattern.until, found.until), pattern.fired),
        )
        for key, pattern in found.keys.items()
    }


@law
@given(deeds, deeds, deeds)
def test_merging_patterns_is_commutative_and_associative(one: Any, two: Any, three: Any) -> None:
    a, b, c = [opened(of, by) for of, by in ((one, "a"), (two, "b"), (three, "c"))]

    def copy(of: Patterns) -> Patterns:
        return msgspec.msgpack.decode(msgspec.msgpack.encode(of), type=Patterns)

    left = patterns.merge(patterns.merge(copy(a), copy(b)), copy(c))
    right = patterns.merge(copy(a), patterns.merge(copy(b), copy(c)))
    turned = patterns.merge(patterns.merge(copy(c), copy(b)), copy(a))
    assert meaning(left) == meaning(right) == meaning(turned)


consents = st.dictionaries(
    st.sampled_from(["marketing/email", "marketing/push"]), st.tuples(st.integers(0, 5), st.booleans())
)
marks = st.dictionaries(st.sampled_from(["cart", "checkout"]), st.integers(0, 9))
addresses = st.dictionaries(st.integers(0, 40).map("email:{:02}".format), st.integers(-1, 9), max_size=40)
cores = st.builds(Core, st.integers(-1, 5), st.integers(-1, 5), consents, marks, marks, addresses)


@law
@given(cores, cores, cores)
def test_merging_who_they_are_is_commutative_and_associative(one: Core, two: Core, three: Core) -> None:
    for name, pick in CORE_MERGES.items():
        a, b, c = getattr(one, name), getattr(two, name), getattr(three, name)
        assert pick(a, b) == pick(b, a)
        assert pick(pick(a, b), c) == pick(a, pick(b, c))


def test_every_field_of_the_core_knows_how_it_merges() -> None:
    assert set(CORE_MERGES) == set(Core.__struct_fields__)


def test_every_part_of_a_record_but_the_queue_knows_how_it_merges() -> None:
    assert set(MERGES) == set(records._EMPTY) - {"queue"} == set(records._decoders) - {"queue"}


def test_a_merged_record_has_every_part_of_both() -> None:
    mine, theirs = Record("mine"), Record("theirs")
    mine.part("core").consents["marketing/email"] = (1, True)
    theirs.part("core").consents["marketing/push"] = (2, True)
    features.add(theirs.part("m"), PLAN, "m", [3, "a"])
    theirs.part("p:cart").until = 5
    theirs.part("seen")[1234] = 7
    theirs.part("sent")["t1"] = Sent("cart", "c1", "theirs", "m1", 1, 9)
    theirs.part("queue").early[1] = b"stays behind"
    records.merge(mine, records.decode("theirs", theirs.encode()), Kept({}))
    again = records.decode("mine", mine.encode())
    assert again.part("core").consents == {"marketing/email": (1, True), "marketing/push": (2, True)}
    assert shown(again.part("m"), 5)["last_0"] == "a"
    assert again.part("p:cart").until == 5
    assert again.part("seen") == {1234: 7}
    assert again.part("sent")["t1"].customer == "theirs"
    assert not again.has("queue")
