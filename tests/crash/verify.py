"""What a run must amount to, computed again from its input and its order, and compared with all it left.

Read with a plain consumer: the input, the `order` topic (cuts that an incarnation appended after its
successor had opened are void) and every output, committed records only. The oracle is
`tests.simulate.fold`: one shard, no processes, merges that take no time. Then the newest checkpoints. What
was compared is forgotten, so that millions of events fit into memory.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition

from flows.balance import balance
from flows.kept import META, folder
from operators import folding, history, patterns, records
from operators.counts import Counts
from operators.cuts import Cut, Opened, decode
from operators.effects import Effect
from operators.facts import feature_values
from operators.graph import Cluster, Progress
from operators.operations import MoveBody
from operators.playbook import Playbook
from operators.rebuild import Counter as Counting
from operators.records import Record
from operators.reference import Known
from operators.resolve import shard_of
from schemas import topics
from schemas.churn import Example
from schemas.outbound import Identity
from state import reading
from tests.program import PATIENCE
from tests.simulate import Inputs, Models, Shard, Step, fold, models_place

# What an oracle can foresee to the letter. Moves, ledger entries and commands are checked by their ids.
DECIDED = (
    topics.TRIGGERS, topics.DECISIONS, topics.DEAD_LETTERS, topics.IDENTITIES, topics.CHURN_EXAMPLES,
)  # fmt: skip
SILENT = 60  # seconds without a record, where there should be more
_known = msgspec.msgpack.Decoder(Known).decode
_about = msgspec.msgpack.Decoder(tuple[Counts, int]).decode
_cluster = msgspec.msgpack.Decoder(Cluster).decode
_progress = msgspec.msgpack.Decoder(Progress).decode
_move = msgspec.msgpack.Decoder(MoveBody).decode
_identity = msgspec.json.Decoder(Identity).decode
_example = msgspec.json.Decoder(Example).decode


class Row(NamedTuple):
    offset: int
    arrived: int
    key: bytes
    value: bytes
    id: str  # ce_id; "" without


class Foreseen(NamedTuple):
    """What the oracle wants to see on a topic."""

    key: bytes
    body: bytes


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
    folded: int = 0
    kept: int = 0
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
    markers, cuts = _cuts(read(brokers, [topics.order(book.scope)]), found)
    steps = _steps(markers, cuts)
    inputs = {
        f"{topic}/{partition}": [(row.offset, row.arrived, row.value) for row in rows]
        for (topic, partition), rows in read(brokers, book.inputs).items()
    }
    found.events = sum(map(len, inputs.values()))
    ends = {place: rows[-1][0] + 1 if rows else 0 for place, rows in inputs.items()}
    places = [f"{topic}/{p}" for topic, p, _ in markers[0].partitions if topic in book.inputs]
    oracle = Oracle(
        book, {place: inputs.pop(place) for place in places}, steps, _models(book, brokers, steps)
    )
    ends |= _check_outputs(found, book, brokers, oracle)
    _check_ends(found, ends, steps)
    _check_state(found, book, state / book.scope, oracle, cuts[-1][1].watermark)
    result = balance(book, brokers)
    total = sum(row["in"] for row in result.totals.values())
    found.ledger_balanced = result.balanced and total == found.events
    found.expect(found.ledger_balanced, f"the ledger says {result} of {found.events} events")
    return found


class Oracle:
    """What must have come out: `wanted` by topic and id, and what else there is to be counted."""

    def __init__(self, book: Playbook, inputs: Inputs, steps: list[Step], models: Models) -> None:
        self.wanted: dict[int, dict[str, Foreseen]] = {code: {} for code in (*DECIDED, topics.MOVES)}
        self.profiles: dict[bytes, Foreseen] = {}  # the last of each customer
        self.identities: dict[str, str] = {}
        self.labels = self.scored = self.triggers = 0
        shard = Shard(book, 0)
        for effect in fold(shard, book, inputs, steps, models):
            told = Foreseen(effect.key.encode(), effect.body)
            if effect.topic == topics.PROFILES:
                self.profiles[told.key] = told
            elif effect.topic in self.wanted:
                self.wanted[effect.topic][effect.id] = told
                self._count(effect)
        self.customers: Mapping[str, bytes] = shard.store.saved

    def _count(self, effect: Effect) -> None:
        if effect.topic == topics.IDENTITIES:
            told = _identity(effect.body)
            self.identities[told.retired] = told.customer
        elif effect.topic == topics.CHURN_EXAMPLES:
            self.labels += 1
            self.scored += _example(effect.body).version > 0
        elif effect.topic == topics.TRIGGERS:
            self.triggers += effect.type.startswith("oncue.trigger.")


def _models(book: Playbook, brokers: str, steps: list[Step]) -> Models:
    """By the number of the cut that let them in."""
    found: dict[int, list[tuple[int, bytes]]] = {}
    if not book.foretold:
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
    log: Log = {}
    for place, row in rows_of(brokers, names):
        mine = log.setdefault(place, [])
        if row is not None:
            mine.append(row)
    return log


def rows_of(brokers: str, names: list[str]) -> Iterator[tuple[Place, Row | None]]:
    """Likewise, one by one; each partition is named once before."""
    client = Consumer(
        {
            "bootstrap.servers": brokers, "group.id": "verify", "isolation.level": "read_committed",
            "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error",
            "fetch.wait.max.ms": 10, "log_level": 0,
        }
    )  # fmt: skip
    try:
        about = client.list_topics(timeout=PATIENCE).topics
        places = [(name, p) for name in names for p in about[name].partitions]
        for place in places:
            low, _ = client.get_watermark_offsets(TopicPartition(*place), 10)
            assert low == 0, f"{place} was trimmed"
            yield place, None
        client.assign([TopicPartition(*place, 0) for place in places])
        left, until = set(places), time.monotonic() + SILENT
        while left:
            assert time.monotonic() < until, f"nothing more of {left} for {SILENT} s"
            message: Any  # the stubs call every accessor optional
            for message in client.consume(5000, 0.1):
                until = time.monotonic() + SILENT
                place = message.topic(), message.partition()
                error = message.error()
                if error is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error.str()
                    left.discard(place)
                    continue
                id = next((text.decode() for name, text in message.headers() or () if name == "ce_id"), "")
                key, value = message.key() or b"", message.value() or b""
                yield place, Row(message.offset(), message.timestamp()[1], key, value, id)
    finally:
        client.close()


def _cuts(log: Log, found: Findings) -> tuple[list[Opened], list[tuple[Opened, Cut]]]:
    """All markers, and the valid cuts with the marker of their incarnation."""
    markers: list[Opened] = []
    cuts: list[tuple[Opened, Cut]] = []
    incarnation = -1
    for row in next(rows for (_, partition), rows in log.items() if partition == 0):
        record = decode(row.value)
        if isinstance(record, Opened):
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


def _steps(markers: list[Opened], cuts: list[tuple[Opened, Cut]]) -> list[Step]:
    return [
        Step(
            {"{}/{}".format(*marker.partitions[i][:2]): end for i, end in cut.ends.items()},
            cut.watermark,
            cut.last,
        )
        for marker, cut in cuts
    ]


def _check_ends(found: Findings, there: Mapping[str, int], steps: list[Step]) -> None:
    """The cuts let in everything that was sent and every move (`there`: where partitions of both end), and
    never went back."""
    ends: dict[str, int] = {}
    watermark = -1
    for step in steps:
        found.expect(all(end > ends.get(place, 0) for place, end in step.ends.items()), f"{step} goes back")
        found.expect(step.watermark >= watermark, f"{step} has an earlier watermark than the one before")
        ends.update(step.ends)
        watermark = step.watermark
    for place, last in there.items():
        found.expect(ends.get(place, 0) == last, f"{place} was let in up to {ends.get(place)} of {last}")


def _check_outputs(found: Findings, book: Playbook, brokers: str, oracle: Oracle) -> dict[str, int]:
    """Every output once, in the partition of its key, with the body that the oracle foresaw. Where the
    partitions of moves end."""
    codes = {topics.output(book.scope, code): code for code in book.outputs}
    there: dict[int, set[str]] = {code: set() for code in book.outputs}
    twice: list[str] = []
    altered: dict[int, list[tuple[bytes, bytes]]] = {code: [] for code in DECIDED}
    profiles: dict[bytes, Foreseen] = {}
    moves: list[bytes] = []
    ends: dict[str, int] = {}
    for (topic, partition), row in rows_of(brokers, list(codes)):
        code = codes[topic]
        if code == topics.MOVES:
            ends[f"{topic}/{partition}"] = 0 if row is None else row.offset + 1
        if row is None:
            continue
        if not row.id:
            found.expect(code == topics.CONTROL, f"a record of somebody else in {topic}")
            continue
        where = 0 if topics.OUTPUTS[code].single else crc32(row.key) % book.engine.partitions
        found.expect(where == partition, f"{row.id} of {row.key!r} is in {topic}/{partition}")
        if row.id in there[code]:
            twice.append(f"{topics.OUTPUTS[code].name} {row.id}")
        there[code].add(row.id)
        if code == topics.MOVES:
            moves.append(row.value)
        elif code == topics.PROFILES:
            profiles[row.key] = Foreseen(row.key, row.value)
        elif code in DECIDED:
            wanted = oracle.wanted[code].get(row.id)
            if wanted is not None and wanted != (row.key, row.value):
                altered[code].append((wanted.body, row.value))
    found.duplicated += found.count(twice, "records came twice")
    found.outputs = sum(map(len, there.values()))
    for code in DECIDED:
        name, wanted_ids = topics.OUTPUTS[code].name, oracle.wanted[code].keys()
        found.lost += found.count(wanted_ids - there[code], f"{name} are missing")
        found.unexpected += found.count(there[code] - wanted_ids, f"{name} should not be there")
        found.altered += found.count(altered[code], f"{name} have another key or body than expected")
    moved = {(body.number, body.loser, body.winner) for body in map(_move, moves)}
    foreseen = {
        (body.number, body.loser, body.winner)
        for body in (_move(it.body) for it in oracle.wanted[topics.MOVES].values())
    }
    found.lost += found.count(foreseen - moved, "moves are missing")
    found.unexpected += found.count(moved - foreseen, "moves should not be there")
    found.expect("control:done" in there[topics.CONTROL], "the end was not announced")
    # Which profiles come between depends on how long moves take; the last of each customer does not.
    found.lost += found.count(oracle.profiles.keys() - profiles.keys(), "customers have no profile")
    found.unexpected += found.count(profiles.keys() - oracle.profiles.keys(), "customers have a profile")
    wrong = (
        (oracle.profiles[key].body, told.body)
        for key, told in profiles.items()
        if key in oracle.profiles and told != oracle.profiles[key]
    )
    found.altered += found.count(wrong, "customers have another profile than expected")
    found.profiles, found.merges = len(oracle.profiles), len(oracle.identities)
    found.triggers, found.decisions = oracle.triggers, len(oracle.wanted[topics.DECISIONS])
    found.dead_letters = len(oracle.wanted[topics.DEAD_LETTERS])
    found.labels, found.scored_by_models = oracle.labels, oracle.scored
    oracle.wanted.clear()
    return ends


@contextmanager
def _newest(folder: Path) -> Iterator[Any]:
    with reading.newest(folder) as database:
        assert database is not None, f"{folder} has no checkpoint"
        yield database


def _check_state(found: Findings, book: Playbook, root: Path, oracle: Oracle, now: int) -> None:
    """Every customer's record, timers and counts in the newest checkpoints, and the identity graph."""
    _check_graph(found, root, oracle)
    total: Counter[str] = Counter()
    customers: dict[str, bytes] = {}
    known: list[dict[bytes, Known]] = []
    for shard in range(book.engine.shards):
        with _newest(root / f"shard-{shard:02d}") as database:
            alarms: set[tuple[int, str]] = set()
            due: set[tuple[int, str]] = set()
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
                    customers[id] = value
                    core = records.decode(id, value).part("core")
                    if core.alarms:
                        due.add((min(core.alarms.values()), id))
                    found.expect(shard_of(id, book.engine.shards) == shard, f"{id} is in shard {shard}")
        found.expect(alarms == due, f"shard {shard}: timers {sorted(alarms ^ due)[:3]} are not as the rules")
    found.expect(all(it == known[0] for it in known), "the shards know different reference data")
    _compare(found, book, customers, oracle.customers, now)
    if book.history:
        _check_history(found, root, book, customers, now)
    found.expect(total["held"] == 0, f"{total['held']} events are still held")
    sums = total["accepted"] + total["duplicate"] + total["dead_lettered"]
    found.expect(total["received"] == sums == found.events, f"{found.events} events became {dict(total)}")
    found.expect(total["dead_lettered"] == found.dead_letters, "dead letters are not what was counted")


def _check_graph(found: Findings, root: Path, oracle: Oracle) -> None:
    with _newest(root / "resolve") as graph:
        progress = _progress(graph.get(META))
        retired = {
            key[1:].decode(): value.decode()
            for key, value in graph.items()
            if key[:1] == b"r" and key != META
        }
    found.expect(retired == oracle.identities, "the identity graph is not what was announced")
    found.expect(progress.open_moves == [], f"moves {progress.open_moves[:3]} are still under way")
    found.expect(progress.moves == len(retired), f"{progress.moves} moves for {len(retired)} merges")


def _check_history(
    found: Findings, root: Path, book: Playbook, customers: Mapping[str, bytes], now: int
) -> None:
    """What is kept of what happened, and what was folded of it, make everybody as they are."""
    with ExitStack() as opened:
        graph = opened.enter_context(_newest(root / "resolve"))
        tables = [
            reading.Table(opened.enter_context(_newest(root / folder(shard))))
            for shard in range(book.engine.shards)
        ]
        counter = Counting(book, {key[1:].decode(): known for key, known in _versions(tables[0])})
        wrong = []
        for id, raw in sorted(customers.items()):
            leaves = _cluster(graph.get(b"c" + id.encode())).members
            where = [(leaf, tables[history.shard_of(leaf, len(tables))]) for leaf in leaves]
            folded = [one for leaf, table in where if (one := folding.summary(table, leaf)) is not None]
            happened = history.recorded(it for leaf, table in where for it in history.events(table, leaf))
            start = folding.beginning(id, folded, book.kept)
            found.folded += len(folded)
            found.kept += len(happened)
            made = counter.record(id, happened, start)
            known = feature_values(book, records.decode(id, raw), book.features, now)
            for name, value in feature_values(book, made, book.features, now).items():
                if value != known[name]:
                    wrong.append(f"{id} {name}: {value} for {known[name]}")
        found.count(wrong, "features are not as history has them")


def _versions(table: reading.Table) -> Iterator[tuple[bytes, Known]]:
    return ((key, _known(value)) for key, value in table.scan(b"v", b"w"))


def _compare(
    found: Findings, book: Playbook, customers: Mapping[str, bytes], expected: Mapping[str, bytes], now: int
) -> None:
    """Features, consents, open carts, and then everything else that is kept about a customer."""
    wrong: dict[str, list[str]] = {"features": [], "consents": [], "open carts": [], "state": [], "queue": []}
    carts = [rule for rule in book.rules.values() if rule.kind == "absence"]
    nothing = Record("").encode()
    for id in sorted(customers.keys() | expected.keys()):
        mine = records.decode(id, customers.get(id, nothing))
        theirs = records.decode(id, expected.get(id, nothing))
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
    missing = (id for id in expected.keys() - customers.keys() if _filled(records.decode(id, expected[id])))
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
