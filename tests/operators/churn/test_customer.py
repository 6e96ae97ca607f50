"""What a record holds for churn: snapshots, labels, merges, scores."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.churn import customer, pending, statistics, vector
from operators.churn.customer import ChurnKeeper
from operators.churn.parts import Churn, Fitted
from operators.churn.scoring import Linear, Scorer, rule
from operators.churn.statistics import DAY, KEPT
from schemas.churn import Example
from tests.operators.churn.people import MONTH, MONTHLY
from tests.properties.logs import law

OFTEN = MONTH._replace(apart=DAY)
DAILY = ChurnKeeper(OFTEN)
purchases = st.lists(st.tuples(st.integers(0, 90 * 24).map(lambda h: h * DAY // 24), st.integers(1, 9_000)))


def of(log: list[tuple[int, int]]) -> Churn:
    churn = customer.empty()
    for at, value in log:
        DAILY.bought(churn, at, value)
    return churn


def test_both_labels_come_at_scoring_time_plus_horizon_and_not_before() -> None:
    for back in (True, False):
        churn = of([(0, 1_000)])
        MONTHLY.score(churn, "ann", 10 * DAY, (), rule())
        if back:
            MONTHLY.bought(churn, 11 * DAY, 1_000)
        assert MONTHLY.examples(churn, 40 * DAY - 1) == []
        (example,) = MONTHLY.examples(churn, 40 * DAY)
        assert (example.at, example.known_at, example.label) == (10 * DAY, 40 * DAY, not back)
        assert MONTHLY.examples(churn, 90 * DAY) == []


def test_a_purchase_after_the_horizon_does_not_count_even_when_it_is_told_before_the_label() -> None:
    churn = of([(0, 1_000)])
    MONTHLY.score(churn, "ann", 10 * DAY, (), rule())
    MONTHLY.bought(churn, 40 * DAY + 1, 1_000)
    assert MONTHLY.examples(churn, 41 * DAY)[0].label


def test_a_late_purchase_still_counts_until_its_label_has_been_told() -> None:
    churn = of([(0, 1_000)])
    MONTHLY.score(churn, "ann", 10 * DAY, (), rule())
    MONTHLY.score(churn, "ann", 20 * DAY, (), rule())
    MONTHLY.bought(churn, 15 * DAY, 1_000)
    assert [one.label for one in MONTHLY.examples(churn, 60 * DAY)] == [False, True]


def test_silence_alone_asks_for_a_score_and_raises_it() -> None:
    churn = of([(0, 1_000), (9 * DAY, 1_000)])
    before = MONTHLY.score(churn, "ann", 9 * DAY, (), rule())
    assert MONTHLY.due(churn) == 16 * DAY
    after = MONTHLY.score(churn, "ann", 90 * DAY, (), rule())
    assert after.probability > before.probability + 0.1
    assert after.version == 0
    assert "raises: long since the last purchase" in after.reasons


def test_who_is_not_eligible_is_not_asked_for() -> None:
    assert ChurnKeeper(MONTH._replace(least=2)).due(of([(0, 1)])) == -1
    assert MONTHLY.due(customer.empty()) == -1


def test_snapshots_are_apart_however_often_somebody_is_scored() -> None:
    churn = of([(0, 1_000)])
    for hour in range(24 * 14):
        MONTHLY.score(churn, "ann", hour * DAY // 24, (), rule())
    assert [one.at for one in churn.waiting] == [0, 7 * DAY]


def test_a_score_as_of_before_the_newest_purchase_is_refused() -> None:
    with pytest.raises(ValueError, match="would use a purchase"):
        MONTHLY.score(of([(5 * DAY, 1_000)]), "ann", 4 * DAY, (), rule())


def test_two_halves_of_one_person_answer_each_others_snapshots() -> None:
    mine, theirs = of([(0, 1_000)]), of([(1 * DAY, 1_000)])
    MONTHLY.score(mine, "ann", 10 * DAY, (), rule())
    MONTHLY.score(theirs, "bob", 10 * DAY, (), rule())
    MONTHLY.bought(theirs, 12 * DAY, 1_000)
    MONTHLY.merge(mine, theirs)
    found = MONTHLY.examples(mine, 40 * DAY)
    assert [(one.customer, one.label) for one in found] == [("ann", False), ("bob", False)]


def test_an_unmerge_gives_back_snapshots_and_drops_those_of_the_joint_person() -> None:
    waiting = [pending.snapshot(at, who, (1.0,), 0.5, 0) for at, who in ((1, "ann"), (2, "bob"), (9, "ann"))]
    stay, leave = pending.split(waiting, frozenset({"bob"}), merged_at=5)
    assert [[(one.at, one.owner) for one in part] for part in (stay, leave)] == [[(1, "ann")], [(2, "bob")]]


def test_more_purchases_than_are_kept_one_by_one_still_count() -> None:
    churn = of([(day * DAY, 100) for day in range(KEPT + 8)])
    facts = vector.facts(churn.bought, (KEPT + 8) * DAY, MONTH.horizon)
    assert facts[1:3] == (KEPT + 8, KEPT + 8)
    assert of([(0, 100)] * 50).bought.count == 50
    assert vector.inputs(vector.facts(of([(0, 100)] * 50).bought, DAY, DAY), rule().fitted, DAY)


@law
@given(purchases.filter(bool), st.lists(st.integers(1, 100), min_size=1, max_size=6, unique=True))
def test_no_feature_of_an_example_uses_anything_after_its_scoring_time(
    log: list[tuple[int, int]], moments: list[int]
) -> None:
    log = sorted(log)
    churn = customer.empty()
    found: list[Example] = []
    place = 0
    for at in [day * DAY for day in sorted(moments)] + [400 * DAY]:
        while place < len(log) and log[place][0] <= at:
            DAILY.bought(churn, *log[place])
            place += 1
        found += DAILY.examples(churn, at)
        if DAILY.eligible(churn, at) and at < 400 * DAY:
            DAILY.score(churn, "ann", at, (3.0,), rule(1))
    for example in found:
        known = of([deal for deal in log if deal[0] <= example.at])
        facts = vector.facts(known.bought, example.at, OFTEN.horizon, (3.0,))
        snapshot = pending.snapshot(example.at, "ann", facts, 0.0, 0)
        assert example.facts == pending.unpacked(snapshot.facts)
        after = [at for at, _ in log if example.at < at <= example.known_at]
        assert example.label == (not after)


@law
@given(purchases, purchases, purchases)
def test_merging_statistics_is_counting_together_in_any_order(
    one: list[tuple[int, int]], two: list[tuple[int, int]], three: list[tuple[int, int]]
) -> None:
    left, right = of(one).bought, of(three).bought
    statistics.merge(left, of(two).bought)
    statistics.merge(left, of(three).bought)
    statistics.merge(right, of(two).bought)
    statistics.merge(right, of(one).bought)
    assert left == right == of(one + two + three).bought


scored = st.tuples(st.lists(st.integers(0, 60), max_size=4, unique=True), purchases)


@law
@given(scored, scored, scored)
def test_merging_churn_is_commutative_and_associative(
    one: tuple[list[int], list[tuple[int, int]]],
    two: tuple[list[int], list[tuple[int, int]]],
    three: tuple[list[int], list[tuple[int, int]]],
) -> None:
    def made(name: str, half: tuple[list[int], list[tuple[int, int]]]) -> Churn:
        days, log = half
        churn = of(log[: KEPT // 3])
        for day in sorted(days):
            at = max(day * DAY, churn.bought.latest[0])
            if DAILY.eligible(churn, at):
                DAILY.score(churn, name, at, (), rule())
        return msgspec.msgpack.decode(msgspec.msgpack.encode(churn), type=Churn)

    def merged(*halves: Churn) -> Churn:
        for other in halves[1:]:
            DAILY.merge(halves[0], other)
        return halves[0]

    left = merged(merged(made("a", one), made("b", two)), made("c", three))
    right = merged(made("a", one), merged(made("b", two), made("c", three)))
    turned = merged(made("c", three), made("b", two), made("a", one))
    assert left == right == turned


def test_a_linear_model_says_what_moved_the_score() -> None:
    churn = of([(0, 1_000), (DAY, 1_000), (2 * DAY, 90_000)])
    names = list(vector.INPUTS)
    weights = [0.0] * len(names) + [0.5]
    weights[names.index("spent")] = -0.4
    scorer = Scorer(Linear(0.0, weights, [0.0] * len(weights)), Fitted())
    keeper = ChurnKeeper(MONTH._replace(more=("care_cases",)))
    found = keeper.score(churn, "ann", 3 * DAY, (4.0,), scorer)
    assert found.reasons == ("lowers: spent much in all", "raises: high care_cases")
