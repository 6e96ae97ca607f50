"""What a run must amount to, computed again from its input and its order, and compared with all it left.

Read with a plain consumer: the input, the `order` topic (cuts that an incarnation appended after its
successor had opened are void) and every output, committed records only. The oracle is
`tests.simulate.replay`: one shard, no processes, merges that take no time. Then the newest checkpoints.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition

from flows.balance import balance
from flows.steps import META
from operators import order, patterns, records
from operators.counts import Counts
from operators.facts import feature_values
from operators.operations import MoveBody
from operators.playbook import Playbook
from operators.records import Record
from operators.reference import Known
from operators.resolve import Progress, shard_of
from schemas import topics
from state import reading
from tests.outcome import Outcome
from tests.simulate import Models, Step, models_place, replay

# What an oracle can foresee to the letter. Moves, ledger entries and commands are checked by their ids.
DECIDED = (
    topics.TRIGGERS, topics.DECISIONS, topics.DEAD_LETTERS, topics.IDENTITIES, topics.PROFILES,
    topics.CHURN_EXAMPLES,
)  # fmt: skip
READING = 120  # seconds
_known = msgspec.msgpack.Decoder(Known).decode
_about = msgspec.msgpack.Decoder(tuple[Counts, int]).decode
_progress = msgspec.msgpack.Decoder(Progress).decode
_move = msgspec.msgpack.Decoder(MoveBody).decode


class Row(NamedTuple):
    offset: int
    arrived: int
    key: bytes
    value: bytes
    headers: dict[str, bytes]


Place = tuple[str, int]
Log = dict[Place, list[Row]]


@dataclass
class Findings:
    """Counts, and `problems`: empty when everything is as it must be."""

    events: int = 0
    cuts: int = 0
    void: int = 0
    incarnations: int = 0
    outputs: int = 0
    triggers: int = 0
    decisions: int = 0
    dead_letters: int = 0
    merges: int = 0
    profiles: int = 0
    labels: int = 0
    scored_by_models: int = 0
    lost: int = 0
    duplicated: int = 0
    unexpected: int = 0
    altered: int = 0
    customers_compared: int = 0
    features_compared: int = 0
    open_carts: int = 0
    ledger_balanced: bool = False
    problems: list[str] = field(default_factory=list)

    def expect(self, good: object, problem: str) -> None:
        if not good:
            self.problems.append(problem)

    def count(self, found: Iterable[Any], problem: str) -> int:
        """How many of these there are; none is what it should be."""
        listed = list(found)
        self.expect(not listed, f"{len(listed)} {problem}, such as {listed[:3]}")
        return len(listed)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def verify(book: Playbook, brokers: str, state: Path) -> Findings:
    """Compare a run that has come to its end with what it must have come to."""
    found = Findings()
    inputs = read(brokers, book.inputs)
    outputs = read(brokers, [topics.output(book.scope, code) for code in book.outputs])
    markers, cuts = _cuts(read(brokers, [topics.order(book.scope)]), found)
    places = [(topic, p) for topic, p, _ in markers[0].partitions if topic in book.inputs]
    steps = _steps(markers, cuts)
    _check_ends(found, book, inputs, outputs, steps)
    outcome = replay(
        book,
        {f"{t}/{p}": [(row.offset, row.arrived, row.value) for row in inputs[t, p]] for t, p in places},
        steps,
        _models(book, brokers, steps),
    )
    found.events = sum(map(len, inputs.values()))
    _check_outputs(found, book, outputs, outcome)
    _check_state(found, book, state / book.scope, outcome, cuts[-1][1].watermark)
    result = balance(book, brokers)
    total = sum(row["in"] for row in result.totals.values())
    found.ledger_balanced = result.balanced and total == found.events
    found.expect(found.ledger_balanced, f"the ledger says {result} of {found.events} events")
    return found


def _models(book: Playbook, brokers: str, steps: list[Step]) -> Models:
    """By the number of the cut that let them in."""
    found: dict[int, list[tuple[int, bytes]]] = {}
    if book.churn is None:
        return found
    topic, place = topics.learning(book.scope, "models"), models_place(book)
    rows = iter(read(brokers, [topic])[topic, 0])
    row = next(rows, None)
    for number, step in enumerate(steps, 1):
        while row is not None and row.offset < step.ends.get(place, 0):
            found.setdefault(number, []).append((row.offset, row.value))
            row = next(rows, None)
    return found


def read(brokers: str, names: list[str]) -> Log:
    """Every committed record of the topics."""
    client = Consumer(
        {
            "bootstrap.servers": brokers, "group.id": "verify", "isolation.level": "read_committed",
            "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error",
            "fetch.wait.max.ms": 10, "log_level": 0,
        }
    )  # fmt: skip
    log: Log = {}
    try:
        about = client.list_topics(timeout=10).topics
        places = [(name, p) for name in names for p in about[name].partitions]
        log = {place: [] for place in places}
        for place in places:
            low, _ = client.get_watermark_offsets(TopicPartition(*place), 10)
            assert low == 0, f"{place} was trimmed"
        client.assign([TopicPartition(*place, 0) for place in places])
        left, until = set(places), time.monotonic() + READING
        while left:
            assert time.monotonic() < until, f"no end of {left} within {READING} s"
            message: Any  # the stubs call every accessor optional
            for message in client.consume(5000, 0.1):
                place = message.topic(), message.partition()
                error = message.error()
                if error is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error.str()
                    left.discard(place)
                    continue
                headers = dict(message.headers() or [])
                key, value = message.key() or b"", message.value() or b""
                log[place].append(Row(message.offset(), message.timestamp()[1], key, value, headers))
    finally:
        client.close()
    return log


def _cuts(log: Log, found: Findings) -> tuple[list[order.Opened], list[tuple[order.Opened, order.Cut]]]:
    """All markers, and the valid cuts with the marker of their incarnation."""
    markers: list[order.Opened] = []
    cuts: list[tuple[order.Opened, order.Cut]] = []
    incarnation = -1
    for row in next(rows for (_, partition), rows in log.items() if partition == 0):
        record = order.decode(row.value)
        if isinstance(record, order.Opened):
            incarnation = row.offset
            markers.append(record)
        elif record.incarnation == incarnation:
            cuts.append((markers[-1], record))
        else:
            found.void += 1
    found.cuts, found.incarnations = len(cuts), len(markers)
    numbers = [cut.number for _, cut in cuts]
    found.expect(numbers == list(range(1, len(cuts) + 1)), "the cuts are not numbered 1, 2, 3, ...")
    found.expect(sum(cut.last for _, cut in cuts) == 1, "not exactly one cut is the last of the input")
    return markers, cuts


def _steps(markers: list[order.Opened], cuts: list[tuple[order.Opened, order.Cut]]) -> list[Step]:
    return [
        Step(
            {"{}/{}".format(*marker.partitions[i][:2]): end for i, end in cut.ends.items()},
            cut.watermark,
            cut.last,
        )
        for marker, cut in cuts
    ]


def _check_ends(found: Findings, book: Playbook, inputs: Log, outputs: Log, steps: list[Step]) -> None:
    """The cuts let in everything that was sent and every move, and never went back."""
    ends: dict[str, int] = {}
    watermark = -1
    for step in steps:
        found.expect(all(end > ends.get(place, 0) for place, end in step.ends.items()), f"{step} goes back")
        found.expect(step.watermark >= watermark, f"{step} has an earlier watermark than the one before")
        ends.update(step.ends)
        watermark = step.watermark
    moves = topics.output(book.scope, topics.MOVES)
    for (topic, partition), rows in {**inputs, **outputs}.items():
        if topic == moves or (topic, partition) in inputs:
            place = f"{topic}/{partition}"
            last = rows[-1].offset + 1 if rows else 0
            found.expect(ends.get(place, 0) == last, f"{place} was let in up to {ends.get(place)} of {last}")


def _check_outputs(found: Findings, book: Playbook, outputs: Log, outcome: Outcome) -> None:
    """Every output once, in the partition of its key, with the body that the oracle foresaw."""
    scope = book.scope
    got: dict[int, dict[str, Row]] = {}
    for code, about in book.outputs.items():
        mine = got[code] = {}
        ids: Counter[str] = Counter()
        for (topic, partition), rows in outputs.items():
            if topic != topics.output(scope, code):
                continue
            for row in rows:
                if "ce_id" not in row.headers:
                    found.expect(code == topics.CONTROL, f"a record of somebody else in {topic}")
                    continue
                id = row.headers["ce_id"].decode()
                ids[id] += 1
                mine[id] = row
                where = 0 if about.single else crc32(row.key) % book.engine.partitions
                found.expect(where == partition, f"{id} of {row.key!r} is in {topic}/{partition}")
        twice = (f"{about.name} {id}" for id, times in ids.items() if times > 1)
        found.duplicated += found.count(twice, f"{about.name} came twice")
        found.outputs += len(mine)
    for code in DECIDED:
        name = topics.OUTPUTS[code].name
        wanted = {id: effect for id, effect in outcome.effects.items() if effect.topic == code}
        found.lost += found.count(wanted.keys() - got[code].keys(), f"{name} are missing")
        found.unexpected += found.count(got[code].keys() - wanted.keys(), f"{name} should not be there")
        both = wanted.keys() & got[code].keys()
        bad = (
            (wanted[id].body, got[code][id].value)
            for id in both
            if (wanted[id].key.encode(), wanted[id].body) != (got[code][id].key, got[code][id].value)
        )
        found.altered += found.count(bad, f"{name} have another key or body than expected")
    moves = {(body.number, body.loser, body.winner) for body in _moves(got[topics.MOVES].values())}
    foreseen = {
        (body.number, body.loser, body.winner)
        for body in (_move(e.body) for e in outcome.effects.values() if e.topic == topics.MOVES)
    }
    found.lost += found.count(foreseen - moves, "moves are missing")
    found.unexpected += found.count(moves - foreseen, "moves should not be there")
    found.expect("control:done" in got[topics.CONTROL], "the end was not announced")
    # Of profiles only the last of a key is sure to be there, and foreseen.
    told = {e.key: e.body for e in outcome.effects.values() if e.topic == topics.PROFILES}
    last = {row.key.decode(): row.value for row in got[topics.PROFILES].values()}
    found.lost += found.count(told.keys() - last.keys(), "profiles are missing")
    found.unexpected += found.count(last.keys() - told.keys(), "profiles should not be there")
    found.altered += found.count(
        ((told[key], last[key]) for key in told.keys() & last.keys() if told[key] != last[key]),
        "profiles are not as foreseen",
    )
    found.profiles = len(told)
    found.merges = len(outcome.identities)
    found.triggers, found.decisions = len(outcome.triggers), len(outcome.decisions)
    found.dead_letters = len(outcome.dead_letters)
    found.labels = len(outcome.examples)
    found.scored_by_models = sum(one.version > 0 for one in outcome.examples.values())


def _moves(rows: Iterable[Row]) -> Iterator[MoveBody]:
    return (_move(row.value) for row in rows)


@contextmanager
def _newest(folder: Path) -> Iterator[Any]:
    with reading.newest(folder) as database:
        assert database is not None, f"{folder} has no checkpoint"
        yield database


def _check_state(found: Findings, book: Playbook, root: Path, outcome: Outcome, now: int) -> None:
    """Every customer's record, timers and counts in the newest checkpoints, and the identity graph."""
    _check_graph(found, root, outcome)
    total: Counter[str] = Counter()
    customers: dict[str, Record] = {}
    known: list[dict[bytes, Known]] = []
    for shard in range(book.engine.shards):
        with _newest(root / f"shard-{shard:02d}") as database:
            alarms: set[tuple[int, str]] = set()
            mine: dict[str, Record] = {}
            known.append({})
            for key, value in database.items():
                if key[:1] == b"!" and key != META:
                    continue
                if key == META:
                    for counts in _about(value)[0].values():
                        total.update(counts)
                elif key[:1] == b"t":
                    alarms.add((int.from_bytes(key[1:9], "big"), key[9:].decode()))
                elif key[:1] == b"v":
                    known[-1][key] = _known(value)
                else:
                    id = key[1:].decode()
                    mine[id] = records.decode(id, value)
                    found.expect(shard_of(id, book.engine.shards) == shard, f"{id} is in shard {shard}")
        due = {(min(core.alarms.values()), id) for id, core in _cores(mine) if core.alarms}
        found.expect(alarms == due, f"shard {shard}: timers {sorted(alarms ^ due)[:3]} are not as the rules")
        customers.update(mine)
    found.expect(all(it == known[0] for it in known), "the shards know different reference data")
    _compare(found, book, customers, outcome, now)
    found.expect(total["held"] == 0, f"{total['held']} events are still held")
    sums = total["accepted"] + total["duplicate"] + total["dead_lettered"]
    found.expect(total["received"] == sums == found.events, f"{found.events} events became {dict(total)}")
    found.expect(total["dead_lettered"] == found.dead_letters, "dead letters are not what was counted")


def _check_graph(found: Findings, root: Path, outcome: Outcome) -> None:
    with _newest(root / "resolve") as graph:
        progress = _progress(graph.get(META))
        retired = {
            key[1:].decode(): value.decode()
            for key, value in graph.items()
            if key[:1] == b"r" and key != META
        }
    found.expect(retired == outcome.identities, "the identity graph is not what was announced")
    found.expect(progress.open_moves == [], f"moves {progress.open_moves[:3]} are still under way")
    found.expect(progress.moves == len(retired), f"{progress.moves} moves for {len(retired)} merges")


def _cores(customers: dict[str, Record]) -> Iterator[tuple[str, records.Core]]:
    return ((id, record.part("core")) for id, record in customers.items())


def _compare(
    found: Findings, book: Playbook, customers: dict[str, Record], outcome: Outcome, now: int
) -> None:
    """Features, consents, open carts, and then everything else that is kept about a customer."""
    wrong: dict[str, list[str]] = {"features": [], "consents": [], "open carts": [], "state": [], "queue": []}
    carts = [rule for rule in book.rules.values() if rule.kind == "absence"]
    for id in sorted(customers.keys() | outcome.customers.keys()):
        mine = customers.get(id, Record(id))
        theirs = records.decode(id, outcome.customers.get(id, Record(id)).encode())
        known = feature_values(book, theirs, book.features, now)
        for name, value in feature_values(book, mine, book.features, now).items():
            if value != known[name]:
                wrong["features"].append(f"{id} {name}")
        for rule in carts:
            open_carts = _open(mine, rule.name, rule.basket)
            found.open_carts += len(open_carts)
            if open_carts != _open(theirs, rule.name, rule.basket):
                wrong["open carts"].append(f"{id} {rule.name}")
        if mine.part("core").consents != theirs.part("core").consents:
            wrong["consents"].append(id)
        if mine.has("queue"):
            wrong["queue"].append(id)
        if _filled(mine) != _filled(theirs):
            wrong["state"].append(f"{id} {_difference(_filled(mine), _filled(theirs))}")
    for what, ids in wrong.items():
        found.count(ids, f"customers with other {what} than expected")
    found.customers_compared = len(customers)
    found.features_compared = len(customers) * len(book.features)
    missing = [id for id in outcome.customers if id not in customers and _filled(outcome.customers[id])]
    found.count(missing, "customers are missing")


def _open(record: Record, rule: str, basket: bool) -> dict[str, Any]:
    if not record.has(f"p:{rule}"):
        return {}
    mine = record.part(f"p:{rule}")
    return {
        key: (one.since, patterns.basket(mine, one))
        for key, one in mine.keys.items()
        if patterns.is_open(mine, one, basket)
    }


def _filled(record: Record) -> dict[str, Any]:
    """All parts, decoded, without those that hold nothing."""
    nothing = Record("")
    parts = {name: record.part(name) for name in record.names()}
    return {name: part for name, part in parts.items() if name != "queue" and part != nothing.part(name)}


def _difference(mine: dict[str, Any], theirs: dict[str, Any]) -> str:
    return "; ".join(
        f"{name}: {mine.get(name)} for {theirs.get(name)}"
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name) != theirs.get(name)
    )[:400]
