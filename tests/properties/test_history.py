"""What history gives back: customers as they are, as they were, and as they would have been."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import folding, records
from operators.asof import Past
from operators.churn.parts import Churn
from operators.facts import feature_values
from operators.identity import customer_id
from operators.playbook import Playbook
from operators.rebuild import Counter, Rebuilder
from operators.records import Record
from tests.events import MINUTE, at
from tests.leaves import Remembering
from tests.properties.logs import UNLIMITED, Log, law, logs
from tests.properties.test_foresight import published
from tests.properties.test_laws import DAYS, known, returns
from tests.simulate import Inputs, Step, arrivals, replay

# Not `addresses`: a mail that came back without saying from where made all of them doubtful that the customer
# had then, not those that a merge brought later.
COUNTED = ("first_seen", "last_seen", "consents")


def remembered(log: Log, returning: Sequence[int] = (), shards: int = 3, keep: int = 0) -> Remembering:
    simulation = Remembering(log.playbook._replace(keep=keep), sorted_topics(log), shards)
    for number, step in enumerate(log.steps):
        simulation.cut(step, returning[number : number + 2])
    simulation.finish()
    return simulation


def sorted_topics(log: Log) -> Inputs:
    """As a worker reads them; with the same cuts."""
    return dict(sorted(log.inputs.items()))


def counted(playbook: Playbook, record: Record, end: int) -> list[Any]:
    """All that is counted of a customer, and every feature at moments from `end` on."""
    record = records.decode(record.id, record.encode())
    core = record.part("core")
    return [
        *(getattr(core, name) for name in COUNTED),
        *(feature_values(playbook, record, playbook.features, end + round(day * 86_400_000)) for day in DAYS),
    ]


@law
@given(logs(), st.sampled_from([1, 3]), returns)
def test_whoever_is_rebuilt_is_as_live(log: Log, shards: int, returning: list[int]) -> None:
    simulation = remembered(log, returning, shards)
    outcome = simulation.outcome()
    for customer, members in simulation.members(outcome).items():
        made = Rebuilder(log.playbook, {}).record(customer, simulation.happened(members))
        live = outcome.customers[customer]
        assert counted(log.playbook, made, log.end) == counted(log.playbook, live, log.end)
        plain = Counter(log.playbook, {}).record(customer, simulation.happened(members))
        assert counted(log.playbook, plain, log.end) == counted(log.playbook, live, log.end)


@law
@given(logs(UNLIMITED), st.data())
def test_some_leaves_of_a_customer_are_rebuilt_as_if_never_merged(log: Log, data: st.DataObject) -> None:
    simulation = remembered(log)
    outcome = simulation.outcome()
    for customer, members in simulation.members(outcome).items():
        half = simulation.happened(data.draw(st.sets(st.sampled_from(members))))
        made = Counter(log.playbook, {}).record(customer, half)
        mine = {(it.place, it.offset) for it in half}
        given_away = {
            place: [
                (offset, arrived, known(raw, "half" if (place, offset) in mine else "rest"))
                for offset, arrived, raw in rows
            ]
            for place, rows in log.inputs.items()
        }
        apart = replay(log.playbook, given_away, log.steps)
        alone = customer_id("shop", "user_id:half")
        for days in DAYS:
            now = log.end + round(days * 86_400_000)
            found = feature_values(log.playbook, made, log.playbook.features, now)
            assert found == apart.features_of(alone, now)


@law
@given(logs(), returns, st.sampled_from([0.2, 0.5, 0.8, 1]))
def test_nothing_that_happened_or_came_later_shows_in_the_past(
    log: Log, returning: list[int], share: float
) -> None:
    """As of any moment everybody is as live in a world that ended there."""
    simulation = remembered(log, returning)
    outcome = simulation.outcome()
    then = at(0) + round((log.end - at(0)) * share)
    before = [-1, *(step.watermark for step in log.steps)]
    by_then = [step for low, step in zip(before, log.steps, strict=False) if low < then]
    world = {
        place: [raw for raw, one in zip(log.inputs[place], rows, strict=True) if one[0] <= then]
        for place, rows in arrivals(log.playbook, sorted_topics(log)).items()
    }
    ended = replay(log.playbook, world, by_then)
    past, found = Past(log.playbook), {}
    counter = Counter(log.playbook, {})
    for members in simulation.members(outcome).values():
        for person in past.people(simulation.happened(members), members, then, {}):
            record = counter.record(person.customer, person.happened)
            found[person.customer] = feature_values(log.playbook, record, log.playbook.features, then)
            assert record.part("core").consents == ended.consents(person.customer)
            assert {ended.survivor(id) for id in person.retired} <= {person.customer}
    assert found == ended.features(then)


@settings(law, max_examples=law.max_examples // 2)
@given(
    logs(), returns, st.sampled_from([1, 3]), st.sampled_from([1, 2, 64]), st.sampled_from([1, 12]),
    st.sampled_from([0, 0.5, 1]),
)  # fmt: skip
def test_what_is_folded_counts_as_if_it_were_still_there(
    log: Log, returning: list[int], shards: int, budget: int, keep: int, share: float
) -> None:
    """As of any moment that is not folded yet, and now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding, "PER_CUT", budget)
        simulation = remembered(log, returning, shards, keep * MINUTE)
        for _ in range(30):  # a while in which nothing happens, so that much is folded
            simulation.cut(Step({}, log.end))
    whole = remembered(log, returning, shards)
    outcome, past, book = simulation.outcome(), Past(log.playbook), log.playbook
    asked = max(simulation.since, at(0)) + round(share * max(0, log.end - simulation.since))
    for customer, members in simulation.members(outcome).items():
        live = outcome.customers[customer]
        assert counted(book, simulation.rebuilt(customer, members), log.end) == counted(book, live, log.end)
        folded, found = simulation.folded(members), {}
        for person in past.people(simulation.happened(members), members, asked, folded):
            start = folding.beginning(person.customer, person.folded, book.kept)
            made = Counter(book, {}).record(person.customer, person.happened, start)
            about = person.cluster, set(person.evidence), sorted(person.retired)
            found[person.customer] = [about, *counted(book, made, asked)]
        kept = {}
        for person in past.people(whole.happened(members), members, asked, {}):
            made = Counter(book, {}).record(person.customer, person.happened)
            about = person.cluster, set(person.evidence), sorted(person.retired)
            kept[person.customer] = [about, *counted(book, made, asked)]
        assert found == kept


@settings(law, max_examples=law.max_examples // 2)
@given(logs(), st.data())
def test_scores_are_those_that_the_models_of_their_time_gave(log: Log, data: st.DataObject) -> None:
    """Of whoever was never merged; a merge asks for a score that one customer would not have got."""
    models = data.draw(published(log))
    simulation = Remembering(log.playbook, sorted_topics(log), models=models)
    for step in log.steps:
        simulation.cut(step)
    outcome, end = simulation.finish().outcome(), simulation.front.watermark
    taken = simulation.shards[0].customers.models
    for customer, members in simulation.members(outcome).items():
        if customer not in outcome.identities.values():
            rebuilder = Rebuilder(log.playbook, {}, taken)
            made = rebuilder.record(customer, simulation.happened(members), until=end)
            live: Churn = outcome.customers[customer].part("churn")
            assert made.part("churn").scored == live.scored


@law
@given(logs(), st.sampled_from([1, 3]))
def test_every_event_is_kept_once_in_recorded_order(log: Log, shards: int) -> None:
    simulation = remembered(log, shards=shards)
    found = simulation.happened(simulation.tables.owners)
    read = arrivals(log.playbook, log.inputs)
    kept = {(it.place, it.offset): (it.at, it.arrived, it.leaf, it.raw) for it in found}
    assert len(kept) == len(found)
    assert kept == {
        (place, offset): (when, arrived, keys[0], raw)
        for place, rows in read.items()
        for when, _, offset, _, arrived, keys, raw in rows
    }
    assert [it.cut for it in found] == sorted(it.cut for it in found)
    for number, step in enumerate(log.steps, 1):
        mine = [it for it in found if it.cut == number]
        assert {it.watermark for it in mine} <= {step.watermark}
        assert mine == sorted(mine, key=lambda it: (it.at, it.topic, it.partition, it.offset))
