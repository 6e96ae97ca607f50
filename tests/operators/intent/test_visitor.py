"""Purchase intent: what is known of somebody who is there, and which label comes when."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.churn.learner import Course, Learner
from operators.churn.pending import unpacked
from operators.intent import vector, visitor
from operators.intent.parts import Visitor
from operators.intent.vector import DAY, HOUR
from operators.intent.visitor import IntentKeeper
from schemas.churn import Example
from tests.operators.intent.people import MINUTE, SHOP, examples

RULE = vector.rule(len(SHOP.signals))
KEEPER = IntentKeeper(SHOP)


def who(*seen: tuple[int, str], orders: tuple[int, ...] = ()) -> Visitor:
    one = visitor.empty()
    for at, signal in seen:
        KEEPER.saw(one, at, signal)
    for at in orders:
        KEEPER.ordered(one, at)
    return one


def chance(one: Visitor, at: int) -> float:
    return KEEPER.score(one, "ann", at, (), RULE).probability


def known(one: Visitor, at: int) -> dict[str, float]:
    """Facts by name at `at`."""
    facts = vector.facts(
        one.visits, one.totals, one.first, one.orders, one.ordered[-1] if one.ordered else -1, at, SHOP.gap,
        tuple(SHOP.signals),
    )  # fmt: skip
    return dict(zip(SHOP.facts, facts, strict=True))


def test_facts_tell_this_visit_from_those_before_it() -> None:
    one = who((0, "looks"), (MINUTE, "adds"), (5 * HOUR, "looks"), (5 * HOUR + MINUTE, "looks"))
    facts = known(one, 5 * HOUR + 2 * MINUTE)
    assert facts["visit_seconds"] == 120
    assert facts["visit_events"] == facts["looks_in_visit"] == 2
    assert (facts["looks_before"], facts["adds_before"], facts["adds_in_visit"]) == (1, 1, 0)
    assert facts["hours_away"] == pytest.approx(5 - 1 / 60)
    assert (facts["came_before"], facts["quiet_seconds"], facts["seconds_between"]) == (1, 60, 60)
    assert known(one, 6 * HOUR)["visit_events"] == 0, "the visit has ended"


def test_before_anything_is_learnt_the_further_on_the_way_the_likelier_an_order() -> None:
    looks = chance(who((0, "looks")), 0)
    assert looks < 0.03
    assert looks < chance(who((0, "adds")), 0) < chance(who((0, "checkouts")), 0) < 0.5
    assert chance(who((2 * DAY, "looks"), orders=(0,)), 2 * DAY) > looks
    assert chance(who((0, "checkouts"), orders=(1,)), 1) < looks, "they have what they came for"
    assert KEEPER.score(who((0, "looks")), "ann", 0, (), RULE).version == 0


def test_both_labels_are_known_a_horizon_after_the_score_and_not_before() -> None:
    buys, leaves = who((0, "looks")), who((0, "looks"))
    for one in (buys, leaves):
        chance(one, MINUTE)
    KEEPER.ordered(buys, 10 * MINUTE)
    for one, label in ((buys, True), (leaves, False)):
        assert KEEPER.due(one) == MINUTE + DAY
        assert KEEPER.examples(one, MINUTE + DAY - 1) == []
        (example,) = KEEPER.examples(one, MINUTE + DAY)
        assert (example.label, example.known_at) == (label, MINUTE + DAY)
        assert KEEPER.due(one) == -1


def test_an_order_before_the_score_or_after_the_horizon_is_no_answer() -> None:
    one = who((0, "looks"), orders=(0,))
    chance(one, MINUTE)
    KEEPER.ordered(one, MINUTE + DAY + 1)
    assert [example.label for example in KEEPER.examples(one, 3 * DAY)] == [False]


def test_with_the_visit_as_horizon_only_an_order_of_the_same_visit_counts() -> None:
    keeper = IntentKeeper(SHOP._replace(visit=True, horizon=4 * HOUR))

    def label(*seen: int, order: int) -> bool:
        one = who((0, "looks"))
        keeper.score(one, "ann", 0, (), RULE)
        for at in seen:
            keeper.saw(one, at, "looks")
        keeper.ordered(one, order)
        (example,) = keeper.examples(one, 4 * HOUR)
        return example.label

    assert label(order=20 * MINUTE)
    assert label(20 * MINUTE, 40 * MINUTE, order=HOUR)
    assert not label(order=HOUR), "the visit had ended"
    assert not label(50 * MINUTE, order=HOUR), "of the next visit"


def test_snapshots_are_apart_and_a_score_never_looks_back() -> None:
    one = who((0, "looks"))
    for minute in range(12):
        chance(one, minute * MINUTE)
    assert [snapshot.at // MINUTE for snapshot in one.waiting] == [0, 5, 10]
    KEEPER.saw(one, HOUR, "looks")
    with pytest.raises(ValueError, match="would use what happened"):
        chance(one, HOUR - 1)


# In five visits, of which some are near enough to be one: more than are kept must not be needed.
moments = st.builds(
    lambda visit, n: visit * 70 * MINUTE + n * 10 * MINUTE, st.integers(0, 5), st.integers(0, 4)
)
happened = st.tuples(moments, st.sampled_from(["looks", "adds", "checkouts", "order"]))


@given(st.lists(happened, max_size=30), st.lists(moments, min_size=1, max_size=6))
def test_no_fact_of_an_example_uses_anything_after_its_scoring_time(
    log: list[tuple[int, str]], scored: list[int]
) -> None:
    one = visitor.empty()
    found: list[Example] = []
    left = sorted(log)
    for at in sorted(scored):
        while left and left[0][0] <= at:
            _do(one, *left.pop(0))
        chance(one, at)
    for time, what in left:
        _do(one, time, what)
    found += KEEPER.examples(one, 10**12)
    for example in found:
        then = visitor.empty()
        for time, what in sorted(log):
            if time <= example.at:
                _do(then, time, what)
        chance(then, example.at)
        assert example.facts == unpacked(then.waiting[-1].facts)
        orders = [time for time, what in log if what == "order"]
        assert example.label == any(example.at < time <= example.known_at for time in orders)


def _do(one: Visitor, at: int, what: str) -> None:
    if what == "order":
        KEEPER.ordered(one, at)
    else:
        KEEPER.saw(one, at, what)


@given(*[st.lists(happened, max_size=12)] * 3)
def test_merging_is_commutative_and_associative(
    a: list[tuple[int, str]], b: list[tuple[int, str]], c: list[tuple[int, str]]
) -> None:
    def made(name: str, log: list[tuple[int, str]]) -> Visitor:
        one = visitor.empty()
        for at, what in sorted(log):
            _do(one, at, what)
            KEEPER.score(one, name, at, (), RULE)
        return msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=Visitor)

    def merged(*halves: Visitor) -> Visitor:
        for other in halves[1:]:
            KEEPER.merge(halves[0], other)
        return halves[0]

    left = merged(merged(made("a", a), made("b", b)), made("c", c))
    right = merged(made("a", a), merged(made("b", b), made("c", c)))
    turned = merged(made("c", c), made("b", b), made("a", a))
    assert left == right == turned
    assert left.visits == made("all", a + b + c).visits
    assert left.totals == made("all", a + b + c).totals


def test_the_learner_of_churn_learns_intent_and_beats_the_rule() -> None:
    learner = Learner(
        Course(SHOP.facts, SHOP.horizon, SHOP.fingerprint, "0.0", ("curved", "recursive"), "curved"),
        vector.subject(len(SHOP.signals)),
    )
    for offset, example in enumerate(examples(1_500)):
        learner.apply(offset, example)
    figures = learner.figures()
    best, rule = figures[learner.race.champion].auc, figures["rule"].auc
    assert best is not None
    assert rule is not None
    assert best > 0.9 > rule
