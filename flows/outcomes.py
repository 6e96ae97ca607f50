"""What two runs over the same range came to, read from their topics and their state, and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from flows import tail
from flows.cloudevents import ID
from flows.settings import Run
from operators.graph import Cluster
from operators.regrouping import Matching, People, Row
from operators.rehearsal import Compared, Comparison, Outcome
from schemas import topics
from state import reading
from state.errors import StateError
from state.reading import Table

KNOWN_AS = 3  # identifiers that an example shows of its customer
REMEMBERED = 100_000
_cluster = msgspec.msgpack.Decoder(Cluster).decode


def compare(old: Run, new: Run, examples: int) -> tuple[People, Compared, dict[str, tuple[int, int]]]:
    """The people, what was decided, and the dead letters by stage and reason. Both runs have ended. Raises
    KafkaTrouble, StateError."""
    with (
        reading.newest(old.directory.root / "resolve") as one,
        reading.newest(new.directory.root / "resolve") as other,
    ):
        if one is None or other is None:
            raise StateError(f"{(old if one is None else new).directory.root} holds no identities")
        graphs = _Graph(Table(one)), _Graph(Table(other))
        matching = Matching(lambda: _owners(*graphs))
        comparison = Comparison(
            lambda customer: matching.old(graphs[0].survivor(customer)),
            lambda customer: matching.new(graphs[1].survivor(customer)),
        )
        _read(old, comparison, comparison.old, False)
        _read(new, comparison, comparison.new, True)
        compared = comparison.result(_rules(old), _rules(new), examples)
        for change in compared.changes:
            for side, graph in ((change.old, graphs[0]), (change.new, graphs[1])):
                if side is not None:
                    side.known_as = graph.identifiers(side.customer)
        people = matching.people(graphs[0].customers(), graphs[1].customers(), examples)
    return people, compared, _dead_letters(old, new)


class _Graph:
    """The identities at the end of a run."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.survivor: Callable[[str], str] = lru_cache(REMEMBERED)(self._survivor)

    def owners(self) -> Iterator[tuple[str, str]]:
        """(identifier, customer) in the order of the identifiers' bytes."""
        for key, value in self._table.scan(b"o", b"p"):
            yield key[1:].decode(), value.decode()

    def customers(self) -> int:
        return sum(1 for _ in self._table.scan(b"c", b"d"))

    def identifiers(self, customer: str) -> list[str]:
        raw = self._table.get(b"c" + self.survivor(customer).encode())
        return _cluster(raw).members[:KNOWN_AS] if raw else []

    def _survivor(self, customer: str) -> str:
        while (into := self._table.get(b"r" + customer.encode())) is not None:
            customer = into.decode()
        return customer


def _owners(old: _Graph, new: _Graph) -> Iterator[Row]:
    """Every identifier of either, with whose it is in each: both are sorted by its bytes."""
    one, other = old.owners(), new.owners()
    mine, theirs = next(one, None), next(other, None)
    while mine is not None or theirs is not None:
        if theirs is None or (mine is not None and mine[0].encode() < theirs[0].encode()):
            assert mine is not None
            yield mine[0], mine[1], None
            mine = next(one, None)
        elif mine is None or theirs[0].encode() < mine[0].encode():
            yield theirs[0], None, theirs[1]
            theirs = next(other, None)
        else:
            yield mine[0], mine[1], theirs[1]
            mine, theirs = next(one, None), next(other, None)


def _read(run: Run, comparison: Comparison, take: Callable[[Outcome], None], new: bool) -> None:
    names = [topics.output(run.space, code) for code in (topics.TRIGGERS, topics.DECISIONS)]
    for record in tail.history(run.brokers, names, f"reading what {run.space} decided"):
        headers = dict(record.headers() or [])
        if ID not in headers:
            continue
        body: dict[str, Any] = orjson.loads(record.value() or b"{}")
        if "trigger" in body:
            comparison.cancelled(body["rule"], new)
            continue
        held, _, _ = body.get("reason", "").partition(" ")
        cause = (headers.get("ce_causationid") or b"").decode()
        why = body.get("why") or body.get("reason", "")
        at = body["decided_at"]
        take(Outcome(headers[ID].decode(), body["rule"], body["customer"], body["key"], cause, at, held, why))


def _rules(run: Run) -> dict[str, str]:
    return {name: rule.hash for name, rule in run.playbook.rules.items()}


def _dead_letters(old: Run, new: Run) -> dict[str, tuple[int, int]]:
    counts: list[Counter[str]] = []
    for run in (old, new):
        found = tail.values(run.brokers, topics.output(run.space, topics.DEAD_LETTERS))
        letters = map(orjson.loads, found)
        counts.append(Counter(f"{it['stage']}: {it['reason']}" for it in letters))
    return {name: (counts[0][name], counts[1][name]) for name in sorted(counts[0] | counts[1])}
