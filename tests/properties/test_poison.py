"""An event that makes a step raise is put aside, and everything is as if it had never come."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import orjson
from hypothesis import assume, given
from hypothesis import strategies as st

from operators.counts import Tally
from operators.identity import customer_id
from operators.playbook import Playbook
from operators.records import Record
from tests.compiled import as_source
from tests.events import at, consent, event, inputs, retail, run, track
from tests.outcome import Outcome
from tests.properties.logs import ALONE, LIMITED, Act, Log, acts, law, written
from tests.simulate import Simulation, cut_up

POISON = 777  # ms after the minute; no other event has it


class Bomb(int):
    """A duration of a rule that cannot be reckoned with at certain times."""

    def __radd__(self, moment: int) -> int:
        return self._checked(moment) + int(self)

    def __rsub__(self, moment: int) -> int:
        return self._checked(moment) - int(self)

    def _checked(self, moment: int) -> int:
        if moment % 60_000 == POISON:
            raise ArithmeticError("a defect deep in a rule")
        return moment


def mined(playbook: Playbook, *bombs: str, rules: Collection[str] = ()) -> Playbook:
    """With `rules` (all) whose durations, such as `within`, are bombs. An event has been counted and its
    pattern begun when `within` goes off."""
    armed = {
        name: replace(rule, **{bomb: Bomb(getattr(rule, bomb)) for bomb in bombs})
        if not rules or name in rules
        else rule
        for name, rule in playbook.rules.items()
    }
    reactions = {
        event: tuple(it._replace(rule=armed[it.rule.name]) for it in found)
        for event, found in playbook.reactions.items()
    }
    return playbook._replace(rules=armed, reactions=reactions)


MINED = mined(LIMITED, "within")
poison = st.tuples(
    st.integers(0, 1), st.integers(0, 20), st.integers(1, 90), st.sampled_from(ALONE), st.integers(0, 1)
)


@st.composite
def poisoned(draw: st.DrawFn) -> Log:
    done: list[Act] = draw(acts())
    topics, end = written(done, rest=draw(st.sampled_from([1, 300])))
    consents = 2 * len(ALONE)  # everybody is known before: a poisoned event shows identity nothing new
    for number, (topic, place, minute, who, product) in enumerate(
        draw(st.lists(poison, min_size=1, max_size=6))
    ):
        when = minute + POISON / 60_000
        raw = track("Product Viewed", when, id=f"poison{number}", product_id=f"p{product}", **who)
        rows = topics[topic]
        rows.insert(min((0 if topic else consents) + place, len(rows)), raw)
    log = inputs(*topics)
    rounds = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=8))
    first = (consents, 0)
    return Log(MINED, log, cut_up(MINED, log, [first, *rounds]), at(end))


def simulate(log: Log, shards: int, unwritten: int, returning: Any, lagging: Any) -> Simulation:
    simulation = Simulation(log.playbook, log.inputs, shards, unwritten=unwritten)
    for number, step in enumerate(log.steps):
        simulation.cut(step, returning[number : number + 2], next(iter(lagging[number : number + 1]), ()))
    return simulation.finish()


def _links(raw: bytes) -> bool:
    said = orjson.loads(raw)
    return "context" in said or ("userId" in said and "anonymousId" in said)


def of_poison(outcome: Outcome) -> dict[tuple[str, int], str]:
    letters = outcome.dead_letters.values()
    return {(f"{it.topic}/{it.partition}", it.offset): it.detail for it in letters if it.stage == "customer"}


@as_source
@law
@given(
    poisoned(),
    st.sampled_from([1, 3]),
    st.sampled_from([0, 0, 2, 100]),
    st.lists(st.integers(0, 2), max_size=20),
    st.lists(st.sets(st.integers(0, 2), max_size=2), max_size=20),
)
def test_a_log_with_poison_gives_what_the_log_without_it_gives_and_dead_letters(
    log: Log, shards: int, unwritten: int, returning: list[int], lagging: list[set[int]]
) -> None:
    simulation = simulate(log, shards, unwritten, returning, lagging)
    found = simulation.outcome()
    bad = of_poison(found)
    assert all("ArithmeticError: a defect deep in a rule" in detail for detail in bad.values())
    # What raises may be the event behind the poisoned one. Where it links people, it goes on doing so.
    assume(
        not any(
            _links(row[2]) for place, rows in log.inputs.items() for row in rows if (place, row[0]) in bad
        )
    )
    clean = {place: [row for row in rows if (place, row[0]) not in bad] for place, rows in log.inputs.items()}
    expected = simulate(log._replace(inputs=clean), shards, 0, returning, lagging)
    assert found.state() == expected.outcome().state()
    outputs = {
        id: body
        for id, body in found.outputs().items()
        if not any(id == f"dead:{place}/{offset}" for place, offset in bad)
    }
    assert outputs == expected.outcome().outputs()
    assert [shard.alarms for shard in simulation.shards] == [shard.alarms for shard in expected.shards]
    counts = [shard.customers.counts for shard in simulation.shards]
    assert all(Tally(one).balanced() for one in counts)
    assert sum(row["received"] for one in counts for row in one.values()) == sum(
        map(len, log.inputs.values())
    )
    assert not simulation.twice


@as_source
def test_a_timer_that_raises_costs_its_rule_what_was_open_and_nothing_else() -> None:
    who = {"user": "ann"}
    outcome = run(
        consent(0, **who),
        track("Product Added", 1, product_id="p0", cart_id="c1", **who),
        track("Checkout Started", 3, cart_id="c1", **who),
        until=60 + POISON / 60_000,
        playbook=mined(retail(), "wait", rules=("cart_abandoned",)),
    )
    (letter,) = outcome.dead_letters.values()
    assert (letter.stage, letter.reason) == ("trigger", "failed")
    assert "cart_abandoned" in letter.detail
    assert "ArithmeticError: a defect deep in a rule" in letter.detail
    assert b"c1" in letter.original
    assert [trigger.rule for trigger in outcome.triggers.values()] == ["checkout_abandoned"]


def test_a_condition_that_fails_is_a_decision_and_a_dead_letter_and_the_event_counts() -> None:
    who = {"user": "ann"}
    shop = retail(("times: 3", "times: 3\n    where: 1 / orders_30d > 0"))
    looks = [track("Product Viewed", minute, product_id="p0", **who) for minute in (1, 2, 3)]
    outcome = run(*looks, until=10, playbook=shop)
    (decision,) = outcome.decisions.values()
    assert decision.reason == "condition-failed ZeroDivisionError: division by zero"
    assert decision.facts["orders_30d"] == 0
    (letter,) = outcome.dead_letters.values()
    assert (letter.stage, letter.reason) == ("trigger", "condition-failed")
    assert "repeated_interest where '1 / orders_30d > 0': ZeroDivisionError" in letter.detail
    assert outcome.features_of(customer_id("shop", "user_id:ann"), at(10))["views_24h"] == 3


def test_a_move_that_cannot_be_merged_is_kept_whole_and_the_customer_goes_on() -> None:
    cookie, ann = {"anonymous": "cookie"}, {"user": "ann"}
    log = inputs(
        [
            event("page", 0, **ann),
            track("Product Viewed", 1, product_id="p1", **cookie),
            event("identify", 2, **cookie, **ann),
            track("Product Viewed", 3, product_id="p2", **ann),
        ]
    )
    simulation = Simulation(retail(), log, shards=1)
    steps = cut_up(retail(), log, [[1]] * 4)
    for step in steps[:2]:
        simulation.cut(step)
    winner = simulation.shards[0].store[customer_id("shop", "user_id:ann")]
    winner.take("m", Record("", {"m": b"\xc1"}))  # what a defect may leave
    simulation.shards[0].store.touch(winner)
    simulation.shards[0].write()
    for step in steps[2:]:
        simulation.cut(step)
    outcome = simulation.finish().outcome()
    letters = sorted(outcome.dead_letters.values(), key=lambda letter: letter.stage)
    assert [letter.stage for letter in letters] == ["customer", "merge"]
    assert b"p1" in letters[1].original
