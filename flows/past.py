"""A scope's history from the newest checkpoints, also while workers run: customers as they were."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from flows import fixed, lookup, resume
from flows import reach as reaching
from flows.kept import MODELS, folder
from operators import folding, history
from operators.asof import Past, Person
from operators.churn import published
from operators.facts import feature_values
from operators.folding import Summary
from operators.graph import Cluster
from operators.history import Happened
from operators.rebuild import Counter, Rebuilder
from operators.records import Record
from operators.reference import Known
from operators.served import KEPT, stored_models
from schemas import moments
from state import points, reading
from state.errors import StateError

_cluster = msgspec.msgpack.Decoder(Cluster).decode
_known = msgspec.msgpack.Decoder(Known).decode

FOLDED = ". What was before is folded: see history.keep in the playbook"
ELSEWHERE = (
    ". This makes a state that knows it, as far back as the topics reach or the files of --archive: {}. Then "
    "ask the same with --state NEWDIR. With --customers FILE it is of a few people only"
)


class Row(NamedTuple):
    """A customer as of `at` (ms): their id then, the id they have now, the features asked for."""

    at: int
    customer: str
    now: str
    features: dict[str, Any]


class Remembered:
    """What is kept of a scope's past, as `with Remembered(root) as past`. Raises StateError where nothing is.

    `since` and `until`: the moments (ms of event time) from which and to which it reaches; -1: from the
    beginning. What was before `since` is `folded`, or was not kept yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.playbook = lookup.playbook_of(root)
        self._past = Past(self.playbook)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        known = points.read(self.root / "points", points.SEQUENCE)
        if not self.playbook.history or not known:
            raise StateError(
                f"{self.root} holds no history"
                + (" yet" if self.playbook.history else ": the playbook has no section history")
                + ". What happened is kept from the next start on with such a section; for what was before, "
                "oncue replay makes a new state with it from Kafka"
            )
        self.until = resume.decode(known[-1][1]).watermark
        shards = range(self.playbook.engine.shards)
        self._graph = self._table("resolve")
        self._leaves = [self._table(folder(shard)) for shard in shards]
        shard = self._table("shard-00")
        self._known, self._models = _Reference(shard), stored_models(shard.get(MODELS))
        reach = reaching.of(self._leaves)
        self.folded, self.since = reach.folded, reach.since
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def check(self, at: int) -> None:
        """Raises StateError when history does not reach to the moment `at`."""
        if not self.since < at <= self.until:
            begin = f"from {moments.say(self.since)} " if self.since >= 0 else ""
            command = reaching.from_kafka(self.root, at, self.playbook.keep)
            raise StateError(
                f"history in {self.root} reaches {begin}to {moments.say(self.until)}, "
                f"not to {moments.say(at)}"
                + (FOLDED if at <= self.folded else "")
                + (ELSEWHERE.format(command) if at <= self.since else "")
            )

    def customer(self, key: str, at: int, models: Sequence[str] = ()) -> dict[str, Any] | None:
        """What `lookup.customer` says, as of `at` (ms); None when nobody had the key then. Scores are of the
        models of their time, or of those that `--model` names: `models`, see `flows/fixed.py`. Raises
        BadModel when one of them is not kept."""
        where = f"{self.root}, which keeps the newest {KEPT} of each subject,"
        chosen = fixed.models(models, self.playbook, lambda: (raw for _, raw in self._models), where)
        found = lookup.find(self._graph, key, self.playbook)
        if found is None:
            return None
        found_by, now = found
        members = self._members(now)
        people = self._past.people(self._happened(members), members, at, self._folded(members))
        mine = [it for it in people if found_by in (it.customer, *it.cluster.members, *it.retired)]
        if not mine:
            return None
        person = mine[0]
        book = fixed.scoring(self.playbook, chosen)
        asked = book._replace(profiles=None, generations={}, later={}, hidden=set())
        rebuilder = Rebuilder(asked, self._known, self._models)
        record = rebuilder.record(person.customer, person.happened, self._beginning(person), until=at)
        note = self._forget_unknown(record, chosen)
        return {
            "customer": person.customer,
            "found_by": found_by,
            "identifiers": lookup.linked(person.cluster, lookup.edges_in(person.evidence)),
            "retired": sorted(person.retired),
            **lookup.described(rebuilder.playbook, record, at, (self.root / "playbook.yaml").read_text()),
            "scores_note": note,
        }

    def count(self) -> int:
        """How many customers there are now."""
        return sum(1 for _ in self._graph.scan(b"c", b"d"))

    def rows(self, times: Collection[int], features: Collection[str]) -> Iterator[list[Row]]:
        """Of every customer of today, who they were at each of `times` (ms), where anything was known."""
        book = self.playbook._replace(hidden=set())
        counter = Counter(book, self._known)
        for key, raw in self._graph.scan(b"c", b"d"):
            now, members = key[1:].decode(), _cluster(raw).members
            happened, folded = self._happened(members), self._folded(members)
            found = []
            for at in times:
                for person in self._past.people(happened, members, at, folded):
                    record = counter.record(person.customer, person.happened, self._beginning(person))
                    values = feature_values(book, record, features, at)
                    found.append(Row(at, person.customer, now, values))
            yield found

    def _members(self, customer: str) -> list[str]:
        raw = self._graph.get(b"c" + customer.encode())
        return _cluster(raw).members if raw else []

    def _forget_unknown(self, record: Record, chosen: Collection[str]) -> str:
        """Take away scores that a model gave which is not kept any more; what to say about it. Subjects that
        are `chosen` were scored by one that is."""
        said = []
        for subject, foretold in self.playbook.foretold.items():
            if subject in chosen:
                continue
            mine = [after for after, raw in self._models if published.read(raw).subject == subject]
            if len(mine) == KEPT and record.has(subject):
                part, keeper = record.part(subject), foretold.keeper
                if 0 <= keeper.last(part) <= mine[0]:
                    keeper.forget(part)
                    said.append(
                        f"{subject}: scored by a model from before {moments.say(mine[0])}, which is not kept"
                    )
        return "; ".join(said)

    def _beginning(self, person: Person) -> Record:
        return folding.beginning(person.customer, person.folded, self.playbook.kept)

    def _folded(self, leaves: Collection[str]) -> dict[str, Summary]:
        shards = len(self._leaves)
        found = {leaf: folding.summary(self._leaves[history.shard_of(leaf, shards)], leaf) for leaf in leaves}
        return {leaf: one for leaf, one in found.items() if one is not None}

    def _happened(self, leaves: Collection[str]) -> list[Happened]:
        shards = len(self._leaves)
        return history.recorded(
            it
            for leaf in leaves
            for it in history.events(self._leaves[history.shard_of(leaf, shards)], leaf, until=self.until)
        )

    def _table(self, step: str) -> reading.Table:
        database = self._open.enter_context(reading.newest(self.root / step))
        if database is None:
            raise StateError(f"{self.root / step} has no checkpoint yet; try again in a moment")
        return reading.Table(database)


class _Reference(dict[str, Known]):
    """Reference data of a customer shard; every shard has the same."""

    def __init__(self, table: reading.Table) -> None:
        self._table = table

    def __missing__(self, key: str) -> Known:
        raw = self._table.get(b"v" + key.encode())
        found = self[key] = _known(raw) if raw else {}
        return found

    def get(self, key: str, /) -> Known:  # type: ignore[override]
        return self[key]
