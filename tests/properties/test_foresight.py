"""Scores look back only, whatever is late, merged or under way."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tests.events import event
from tests.properties.logs import Log, law, logs
from tests.simulate import arrivals, replay


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


@law
@given(logs(), st.integers(0, 20))
def test_no_fact_of_an_example_is_of_after_its_scoring_time(log: Log, which: int) -> None:
    found = replay(log.playbook, log.inputs, log.steps).examples
    if not found:
        return
    id, example = sorted(found.items())[which % len(found)]
    past = until(log, example.at)
    same = replay(past.playbook, past.inputs, past.steps).examples[id]
    assert (same.facts, same.score, same.segment) == (example.facts, example.score, example.segment)


@law
@given(logs())
def test_labels_come_a_horizon_after_the_score_for_both_kinds_alike(log: Log) -> None:
    outcome = replay(log.playbook, log.inputs, log.steps)
    churn = log.playbook.churn
    assert churn is not None
    horizon = churn.definition.horizon
    end = log.steps[-1].watermark
    for example in outcome.examples.values():
        assert example.known_at == example.at + horizon <= end
        assert min(example.facts[0], example.facts[4]) >= 0, "recency and tenure"
    for record in outcome.customers.values():
        if record.has("churn"):
            part = record.part("churn")
            assert all(one.at + horizon > end for one in part.waiting)
            assert all(time <= record.part("core").last_seen for time in part.bought.times)
