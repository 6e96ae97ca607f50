"""The laws of the pipeline: whatever happens to cuts, shards, moves and processes, the same comes out."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators import customers, profiles, resolve
from operators.effects import Effect
from operators.facts import feature_values
from operators.identity import customer_id
from schemas import topics
from schemas.outbound import Ledger, Trigger, TriggerCancelled
from tests.events import at, consent, event, inputs, track
from tests.outcome import Outcome
from tests.properties.logs import ALONE, LIMITED, LINKS, UNLIMITED, Act, Log, acts, law, logs, written
from tests.simulate import Simulation, Tables, arrivals, cut_up, identities, replay

DAYS = (0, 25 / 60 / 24, 0.9, 29.7, 31, 400)
returns = st.lists(st.integers(0, 2), max_size=20)
lags = st.lists(st.sets(st.integers(0, 7), max_size=3), max_size=20)


def simulate(log: Log, shards: int = 3, returning: Any = (), lagging: Any = ()) -> Simulation:
    """The log through the pipeline; the number of moves that come back with each cut as given, then all."""
    simulation = Simulation(log.playbook, log.inputs, shards)
    for number, step in enumerate(log.steps):
        simulation.cut(step, returning[number : number + 2], next(iter(lagging[number : number + 1]), ()))
    return simulation.finish()


def assert_same(one: Outcome, other: Outcome) -> None:
    assert one.outputs() == other.outputs()
    assert one.profiles == other.profiles
    assert one.state() == other.state()


def relabelled(log: Log) -> tuple[Log, dict[str, str]]:
    """The log as if everybody had been known from the start, and surviving customer -> customer there."""
    tables = Tables({}, {}, {}, {})
    graph = identities(log.playbook, tables)
    read = arrivals(log.playbook, log.inputs)
    found: dict[tuple[int, int], str] = {}
    position = dict.fromkeys(read, 0)
    for step in log.steps:
        for one in sorted(
            one for place, end in step.ends.items() for one in read[place] if position[place] <= one[2] < end
        ):
            found[one[1], one[2]] = graph.resolve(one[5], one[0], f"{one[1]}/{one[2]}").customer
        position.update(step.ends)
    labelled = {
        place: [
            (offset, arrived, known(raw, str(graph.find(found[index, offset]))))
            for offset, arrived, raw in rows
        ]
        for index, (place, rows) in enumerate(log.inputs.items())
    }
    names = {str(graph.find(one)) for one in found.values()}
    return log._replace(inputs=labelled), {name: customer_id("shop", f"user_id:{name}") for name in names}


def known(raw: bytes, customer: str) -> bytes:
    body = orjson.loads(raw)
    body["was"] = [
        body.pop("userId", None),
        body.pop("anonymousId", None),
        body.pop("context", None),
        body.pop("traits", None),
    ]
    return orjson.dumps(body | {"userId": customer})


@law
@given(logs(), returns)
def test_after_any_merges_a_customer_is_as_if_known_from_the_start(log: Log, returning: list[int]) -> None:
    merged = simulate(log, returning=returning).outcome()
    plain, names = relabelled(log)
    known = replay(plain.playbook, plain.inputs, plain.steps)
    assert set(merged.customers) <= set(names)
    for mine, theirs in names.items():
        for days in DAYS:
            now = log.end + round(days * 86_400_000)
            assert merged.features_of(mine, now) == known.features_of(theirs, now)
        assert merged.consents(mine) == known.consents(theirs)
        assert merged.purchases(mine) == known.purchases(theirs)
        for rule in ("cart_abandoned", "checkout_abandoned"):
            assert merged.open_carts(mine, rule) == known.open_carts(theirs, rule)


@law
@given(logs(), st.sampled_from([1, 3, 8]), returns, lags)
def test_results_depend_neither_on_shards_nor_on_batches_nor_on_how_long_moves_take(
    log: Log, shards: int, returning: list[int], lagging: list[set[int]]
) -> None:
    simulation = simulate(log, shards, returning, lagging)
    assert_same(simulation.outcome(), replay(log.playbook, log.inputs, log.steps))
    assert not simulation.twice


@law
@given(logs(UNLIMITED), returns, st.lists(st.sampled_from(["", "", "snapshot", "crash", "loss"]), max_size=9))
def test_a_crash_changes_nothing(log: Log, returning: list[int], troubles: list[str]) -> None:
    simulation = Simulation(log.playbook, log.inputs, 3)
    taken = simulation.snapshot()
    for number, step in enumerate(log.steps):
        simulation.cut(step, returning[number : number + 2])
        match troubles[number : number + 1]:
            case ["snapshot"]:
                taken = simulation.snapshot()
            case ["crash"]:
                simulation.crash(taken)
            case ["loss"]:
                simulation.crash(taken, uncommitted=True)
    assert_same(simulation.finish().outcome(), simulate(log, 3, returning).outcome())
    assert not simulation.altered
    assert not simulation.twice


@law
@given(logs(), returns)
def test_exactly_the_alarms_of_the_customers_are_pending(log: Log, returning: list[int]) -> None:
    simulation = simulate(log, returning=returning)
    for shard in simulation.shards:
        cores = {id: record.part("core") for id, record in shard.store.items()}
        assert shard.alarms == {(min(core.alarms.values()), id) for id, core in cores.items() if core.alarms}


@law
@given(acts(who=ALONE, late=False), st.permutations(LINKS[:4]), st.permutations(range(4)))
def test_the_order_of_merges_does_not_matter(
    done: list[Act], links: list[dict[str, Any]], order: list[int]
) -> None:
    """The same four links, made in any order after everybody has been seen alone."""
    first = [event("page", i / 100, **person) for i, person in enumerate([*ALONE, {"device": "d0"}])]
    (web, app), end = written(done)
    outcomes = []
    for arranged in (links, [links[i] for i in order]):
        linked = [event("identify", end + 1 + i, id=f"i{i}", **who) for i, who in enumerate(arranged)]
        log = inputs([*first, *web, *linked], app)
        outcomes.append(replay(UNLIMITED, log, cut_up(UNLIMITED, log)))
    one, other = outcomes
    assert set(one.customers) == set(other.customers)
    assert one.features(at(end + 10)) == other.features(at(end + 10))
    assert {c: one.survivor(c) for c in one.identities} == {c: other.survivor(c) for c in other.identities}


@law
@given(logs(), st.sampled_from([1, 3]), returns)
def test_the_ledger_balances_at_every_cut(log: Log, shards: int, returning: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(customers, "LEDGER_EVERY", 1)
        patch.setattr(resolve, "LEDGER_EVERY", 1)
        simulation = simulate(log, shards, returning)
    came: dict[int, Counter[str]] = {}
    accounted: dict[int, Counter[str]] = {}
    for effect in simulation.effects.values():
        if effect.topic == topics.LEDGER:
            body = msgspec.json.decode(effect.body, type=Ledger)
            side = came if body.shard == "in" else accounted
            for topic, counts in body.counts.items():
                kinds = ("in",) if body.shard == "in" else ("accepted", "duplicate", "dead_lettered", "held")
                side.setdefault(body.cut, Counter())[topic] += sum(counts[kind] for kind in kinds)
    assert len(came) == len(simulation.cuts)
    assert came == accounted


@law
@given(logs(), st.data())
def test_a_feature_is_the_same_whatever_else_is_asked_for(log: Log, data: st.DataObject) -> None:
    outcome = replay(log.playbook, log.inputs, log.steps)
    names = data.draw(st.lists(st.sampled_from(sorted(log.playbook.features)), min_size=1, max_size=5))
    now = log.steps[-1].watermark
    for customer, record in outcome.customers.items():
        every = outcome.features_of(customer, now)
        some = feature_values(log.playbook, record, names, now)
        assert some == {name: every[name] for name in names}


@law
@given(logs(), returns)
def test_a_profile_is_the_state_at_its_time_or_another_is_due(log: Log, returning: list[int]) -> None:
    outcome = simulate(log, returning=returning).outcome()
    for id, record in outcome.customers.items():
        core = record.part("core")
        last = outcome.profiles.get(id)
        if profiles.ALARM in core.alarms:
            continue
        if last is None:
            nothing = outcome.features_of("nobody", log.end)
            assert (outcome.features_of(id, log.end), core.consents) == (nothing, {})
            continue
        assert last.features == outcome.features_of(id, last.as_of)
        assert {f"{it.purpose}/{it.channel}": (it.at, it.granted) for it in last.consents} == core.consents
        assert (last.first_seen, last.merged_into) == (core.first_seen, None)
    for retired, survivor in outcome.identities.items():
        assert outcome.profiles[retired].merged_into == survivor


@law
@given(logs(reuse=False), returns)
def test_no_rule_fires_twice_for_one_cause(log: Log, returning: list[int]) -> None:
    simulation = simulate(log, returning=returning)
    fired: Counter[tuple[str, str, str]] = Counter()
    for effect in simulation.effects.values():
        if effect.type.startswith("oncue.trigger."):
            body = msgspec.json.decode(effect.body, type=Trigger)
            fired[body.rule, body.key, effect.cause] += 1
    assert max(fired.values(), default=1) == 1
    assert not simulation.twice


@law
@given(logs(), returns)
def test_whatever_is_cancelled_was_sent_and_is_cancelled_once(log: Log, returning: list[int]) -> None:
    simulation = simulate(log, returning=returning)
    sent: dict[str, Effect] = {}
    ended: set[str] = set()
    for effect in simulation.effects.values():
        if effect.type.startswith("oncue.trigger."):
            sent[effect.id] = effect
        elif effect.type.startswith("oncue.trigger-cancelled."):
            body = msgspec.json.decode(effect.body, type=TriggerCancelled)
            trigger = sent[body.trigger]
            assert body.trigger not in ended
            ended.add(body.trigger)
            assert (effect.correlation, effect.key) == (trigger.correlation, trigger.key)
            assert body.cancelled_at <= trigger.expires
            assert body.reason in ("consent-withdrawn", "ended", "emptied", "no-longer-holds")


@law
@given(logs(late=False), returns)
def test_a_merge_sets_nothing_off_that_lies_in_the_past(log: Log, returning: list[int]) -> None:
    """Without late events whatever is decided came due after the cut before."""
    due_after = -1
    told: set[str] = set()
    for number, step in enumerate(log.steps, 1):
        outcome = replay(log.playbook, log.inputs, log.steps[:number])
        new = [found for id, found in {**outcome.triggers, **outcome.decisions}.items() if id not in told]
        assert all(found.decided_at > due_after for found in new if found.rule not in ("identity", "dedupe"))
        told |= outcome.triggers.keys() | outcome.decisions.keys()
        due_after = step.watermark


@law
@given(st.integers(4, 30), st.sampled_from([1, 3, 8]), returns, st.booleans())
def test_a_cart_is_abandoned_once_by_whoever_has_it_when_it_is_due(
    merged: int, shards: int, returning: list[int], cookie_first: bool
) -> None:
    """Filled in minute 3 and due in minute 18, before or after its owner logs in."""
    cookie, user = {"anonymous": "a0"}, {"user": "u0"}
    seen = [event("page", 0, **who) for who in ([cookie, user] if cookie_first else [user, cookie])]
    said = [consent(1, **cookie), consent(1, **user)]
    filled = track("Product Added", 3, product_id="p0", cart_id="c0", **cookie)
    minutes: list[bytes] = [event("page", minute, anonymous="clock") for minute in range(4, 40)]
    minutes[merged - 4] = event("identify", merged, **cookie, **user)
    log = inputs([*seen, *said, filled, *minutes])
    steps = cut_up(LIMITED, log, [[1]] * 60)
    outcome = simulate(Log(LIMITED, log, steps, at(40)), shards, returning).outcome()
    (trigger,) = [it for it in outcome.triggers.values() if it.rule == "cart_abandoned"]
    owner = customer_id("shop", "anonymous_id:a0")
    assert trigger.customer == (outcome.survivor(owner) if merged < 18 else owner)
    assert trigger.decided_at == at(18)
