"""The learner on a generated shop: models, promotion, fall-back, roll-back, and what is refused."""

import math
from functools import cache

import msgspec
import pytest

from operators.churn import calibration, evaluation, frozen, published
from operators.churn.definition import Terms
from operators.churn.learner import Course, Learner, Output
from operators.churn.published import Incompatible
from operators.churn.race import Race
from operators.churn.vector import INPUTS
from schemas.churn import Command, Example, Metrics, Model
from tests.operators.churn.people import MONTH, examples, shop

NAMES = tuple(INPUTS)
COURSE = Course(NAMES, MONTH.horizon, "shop", "0.0", terms=Terms(labels=500))
KINDS = ("recursive", "curved", "logistic", "tree", "forest", "ensemble")


@cache
def everything() -> list[Example]:
    return examples(shop(150, 200))


def told(count: int = 2_000) -> list[Example]:
    return everything()[:count]


def models(out: list[Output]) -> list[Model]:
    return [one.model for one in out if one.model is not None]


def feed(learner: Learner, records: list[Example], start: int = 0) -> list[Output]:
    return [out for offset, one in enumerate(records, start) for out in learner.apply(offset, one)]


def test_it_learns_who_leaves_better_than_the_rule() -> None:
    learner = Learner(COURSE)
    out = feed(learner, told())
    figures = learner.figures()
    best, rule = figures[learner.race.champion].auc, figures["rule"].auc
    assert best is not None
    assert rule is not None
    assert best > rule > 0.6
    reports = [one.metrics for one in out if one.metrics is not None]
    assert set(reports[-1].figures) == {*COURSE.kinds, "rule"}
    assert "bought once" in {segment for of in reports[-1].figures.values() for segment in of}


def test_versions_are_positions_so_repeating_the_input_repeats_the_models_bit_by_bit() -> None:
    records = told(1_200)
    whole = Learner(COURSE)
    first = feed(whole, records)
    broken = Learner(COURSE)
    second = feed(broken, records[:800])
    again = frozen.thaw(frozen.freeze(broken), COURSE)
    assert feed(again, records[:800]) == []  # what was taken is not taken twice
    second += feed(again, records[800:], 800)
    assert [msgspec.json.encode(one.model) for one in first] == [
        msgspec.json.encode(one.model) for one in second
    ]
    versions = [model.version for model in models(first)]
    assert versions == sorted(set(versions))


def test_every_kind_of_model_survives_the_topic_bit_by_bit() -> None:
    records = told(700)
    learner = Learner(COURSE._replace(kinds=KINDS))
    feed(learner, records)
    for kind, scorer in learner.export().items():
        learner.race.champion = kind
        (model,) = models(learner._publish("test"))
        again = published.scorer(published.read(published.encode(model)), "shop", NAMES)
        for example in records[:50]:
            inputs = [math.sin(fact) for fact in (*example.facts, *example.facts)][: len(NAMES)]
            assert again.score(inputs) == scorer.score(inputs)
            moves = again.function.moves(inputs)
            assert moves == scorer.function.moves(inputs)
            assert len(moves) == len(NAMES)


def test_moves_of_trees_add_up_to_the_score() -> None:
    learner = Learner(COURSE._replace(kinds=("forest",), champion="forest"))
    feed(learner, told(800))
    function = learner.export()["forest"].function
    inputs = [1.0] * len(NAMES)
    roots = sum(tree[0].value for tree in function.trees) / len(function.trees)  # type: ignore[attr-defined]
    assert sum(function.moves(inputs)) + roots == pytest.approx(function.raw(inputs))


def test_what_another_program_made_is_refused_with_words() -> None:
    learner = Learner(COURSE)
    feed(learner, told(300))
    raw = frozen.freeze(learner)
    other = msgspec.msgpack.decode(raw, type=frozen.Frozen)
    other.made_with["river"] = "0.1"
    with pytest.raises(Incompatible, match=r"river 0\.1, here .* Published models stay in use"):
        frozen.thaw(msgspec.msgpack.encode(other), COURSE)
    with pytest.raises(Incompatible, match="another definition"):
        frozen.thaw(raw, COURSE._replace(horizon=1))
    with pytest.raises(Incompatible, match="damaged"):
        frozen.thaw(raw[:100], COURSE)
    (model,) = models(learner._publish("test"))
    newer = msgspec.structs.replace(model, format=9)
    with pytest.raises(Incompatible, match="format 9; this program reads format 1"):
        published.read(published.encode(newer))
    with pytest.raises(Incompatible, match="different inputs: care_cases"):
        published.scorer(model, "shop", (*NAMES, "care_cases"))
    with pytest.raises(Incompatible, match="damaged"):
        published.scorer(msgspec.structs.replace(model, scorer={"kind": "linear"}), "shop", NAMES)
    with pytest.raises(Incompatible, match="not a published model"):
        published.read(b"{}")


def race(labels: int = 200) -> Race:
    return Race(("old", "new"), "old", Terms(labels=labels, margin=0.01))


def test_a_challenger_is_promoted_when_it_is_better_by_the_margin_over_enough_labels() -> None:
    it = race()
    assert [it.add({"old": 0.6, "new": 0.595}) for _ in range(400)] == [None] * 400
    said = [why for _ in range(400) if (why := it.add({"old": 0.6, "new": 0.5})) is not None]
    assert it.champion == "new"
    assert len(said) == 1
    assert said[0].startswith("promoted: better than old")


def test_a_champion_that_degrades_is_replaced_at_once() -> None:
    it = race(labels=4_000)
    for _ in range(4_000):
        assert it.add({"old": 0.3, "new": 0.6}) is None
    said: list[str] = []
    labels = 0
    while not said and labels < 4_000:
        labels += 1
        why = it.add({"old": 2.0, "new": 0.6})
        said += [why] if why else []
    assert said[0].startswith("fell back: the loss of old rose")
    assert it.champion == "new"
    assert labels <= 2_000, "a promotion would have taken longer"
    assert "old" in it.drifted


def test_an_operator_promotes_and_rolls_back() -> None:
    learner = Learner(COURSE)
    records = told(1_300)
    out = feed(learner, records[:1_000])
    old = models(out)[0] if len(models(out)) <= 10 else models(out)[-5]
    (back,) = models(learner.apply(1_000, Command("rollback", version=old.version)))
    assert (back.version, back.scorer) == (1_001, old.scorer)
    held = feed(learner, records[1_000:1_300], 1_001)
    assert models(held) == []
    assert any(isinstance(one.metrics, Metrics) for one in held)
    (front,) = models(learner.apply(1_301, Command("promote", contestant="logistic")))
    assert (front.contestant, front.why) == ("logistic", "an operator promoted logistic")
    assert learner.apply(1_302, Command("promote", contestant="nobody")) == []
    assert learner.apply(1_303, Command("rollback", version=1)) == []
    assert len(learner.events) >= 2


def test_figures_of_a_histogram_are_those_of_the_definitions() -> None:
    tally = evaluation.empty()
    pairs = [((number * 37 % 997) / 1000, number % 3 == 0) for number in range(900)]
    losses = [evaluation.add(tally, score, churned) for score, churned in pairs]
    found = evaluation.figures(tally)
    gone = [score for score, churned in pairs if churned]
    calm = [score for score, churned in pairs if not churned]
    exact = sum((a > b) + (a == b) / 2 for a in gone for b in calm) / len(gone) / len(calm)
    assert found.auc == pytest.approx(exact, abs=1e-3)
    assert found.log_loss == pytest.approx(sum(losses) / 900)
    top = sorted(pairs, reverse=True)[:90]
    assert found.lift == pytest.approx(sum(churned for _, churned in top) / 90 / (300 / 900), abs=0.05)


def test_calibration_mends_a_model_that_is_too_sure_and_leaves_a_good_one_alone() -> None:
    sure, good = calibration.Platt(), calibration.Platt()
    for number in range(20_000):
        churned = number % 4 != 0  # log-odds 1.1
        calibration.learn(sure, 4.0, churned)
        calibration.learn(good, math.log(3), churned)
    slope, shift = calibration.used(sure)
    assert slope * 4.0 + shift == pytest.approx(math.log(3), abs=0.1)
    assert calibration.used(good) == (1.0, 0.0)
