"""Scores look back only, whatever is late, merged or under way."""

from __future__ import annotations

from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from schemas.churn import Example
from tests import models
from tests.events import event
from tests.outcome import Outcome
from tests.properties.logs import Log, law, logs
from tests.simulate import Models, Simulation, arrivals, replay


def until(log: Log, moment: int) -> Log:
    """The log in which everything that happened after `moment` (ms) is somebody else's look at a page."""
    read = arrivals(log.playbook, log.inputs)
    blank = {
        place: [
            (offset, arrived, _blank(raw) if one[0] > moment else raw)
            for (offset, arrived, raw), one in zip(rows, read[place], strict=True)
        ]
        for place, rows in log.inputs.items()
    }
    return log._replace(inputs=blank)


def _blank(raw: bytes) -> bytes:
    page = orjson.loads(event("page", 0, anonymous="clock"))
    return orjson.dumps(page | {"timestamp": orjson.loads(raw)["timestamp"]})


def labelled(outcome: Outcome) -> dict[str, Example]:
    """Of both subjects."""
    return outcome.examples | outcome.visits


@law
@given(logs(), st.integers(0, 40))
def test_no_fact_of_an_example_is_of_after_its_scoring_time(log: Log, which: int) -> None:
    found = labelled(replay(log.playbook, log.inputs, log.steps))
    if not found:
        return
    id, example = sorted(found.items())[which % len(found)]
    past = until(log, example.at)
    same = labelled(replay(past.playbook, past.inputs, past.steps))[id]
    assert (same.facts, same.score, same.segment) == (example.facts, example.score, example.segment)


@law
@given(logs())
def test_labels_come_a_horizon_after_the_score_for_both_kinds_alike(log: Log) -> None:
    outcome = replay(log.playbook, log.inputs, log.steps)
    horizon = log.playbook.foretold["churn"].definition.horizon
    end = log.steps[-1].watermark
    for example in outcome.examples.values():
        assert example.known_at == example.at + horizon <= end
        assert min(example.facts[0], example.facts[4]) >= 0, "recency and tenure"
    for record in outcome.customers.values():
        if record.has("churn"):
            part = record.part("churn")
            assert all(one.at + horizon > end for one in part.waiting)
            assert all(time <= record.part("core").last_seen for time in part.bought.times)


@law
@given(logs())
def test_labels_of_visits_come_a_horizon_after_the_score_and_need_an_order(log: Log) -> None:
    outcome = replay(log.playbook, log.inputs, log.steps)
    horizon = log.playbook.foretold["intent"].definition.horizon
    end = log.steps[-1].watermark
    for example in outcome.visits.values():
        assert example.known_at == example.at + horizon <= end
        orders = outcome.customers[outcome.survivor(example.customer)].part("intent").orders
        assert orders or not example.label
    for record in outcome.customers.values():
        if record.has("intent"):
            part, last = record.part("intent"), record.part("core").last_seen
            assert all(one.at + horizon > end for one in part.waiting)
            assert all(visit.start <= visit.end <= last for visit in part.visits)
            assert sum(part.totals.values()) >= sum(sum(visit.counts.values()) for visit in part.visits)


@law
@given(logs())
def test_scores_found_when_somebody_asks_are_those_found_at_once(log: Log) -> None:
    """A rule that watches a score has it found at every signal."""
    rules = log.playbook.rules
    watching = replace(
        rules["churn_risk"],
        name="watching",
        part="p:watching",
        of="intent_probability",
        above=2.0,
        until=-1.0,
    )
    watched = log.playbook._replace(rules={**rules, "watching": watching})
    later, at_once = (replay(book, log.inputs, log.steps) for book in (log.playbook, watched))
    assert at_once.outputs() == later.outputs()
    assert at_once.profiles == later.profiles
    assert at_once.state() == later.state()


@st.composite
def published(draw: st.DrawFn, log: Log) -> Models:
    """Some models, each in a cut; also one that comes twice, is older, or cannot be read."""
    found: dict[int, list[tuple[int, bytes]]] = {}
    cuts = draw(st.lists(st.integers(1, len(log.steps)), max_size=5))
    for offset, number in enumerate(sorted(cuts)):
        version = draw(st.integers(1, 4))
        bias = 2.0 if version % 2 else -1.0  # what is above and below every threshold
        subject = draw(st.sampled_from(["churn", "intent"]))
        definition = log.playbook.foretold[subject].definition
        good = models.linear(definition, version, bias, recency=0.3, visit_events=0.3)
        raw = draw(st.sampled_from([good, good, b"{}", b""]))
        found.setdefault(number, []).append((offset, raw))
    return found


@law
@given(logs(), st.data(), st.sampled_from([1, 3]))
def test_scores_depend_neither_on_shards_nor_on_how_long_moves_take_nor_on_crashes(
    log: Log, data: st.DataObject, shards: int
) -> None:
    taken = data.draw(published(log))
    returning = data.draw(st.lists(st.integers(0, 2), max_size=20))
    troubles = data.draw(st.lists(st.sampled_from(["", "", "snapshot", "crash", "loss"]), max_size=9))
    simulation = Simulation(log.playbook, log.inputs, shards, unwritten=2, models=taken)
    last = simulation.snapshot()
    for number, step in enumerate(log.steps):
        simulation.cut(step, returning[number : number + 2])
        match troubles[number : number + 1]:
            case ["snapshot"]:
                last = simulation.snapshot()
            case ["crash"]:
                simulation.crash(last)
            case ["loss"]:
                simulation.crash(last, uncommitted=True)
    found, known = simulation.finish().outcome(), replay(log.playbook, log.inputs, log.steps, taken)
    assert found.outputs() == known.outputs()
    assert found.profiles == known.profiles
    assert found.state() == known.state()
    assert not simulation.altered
