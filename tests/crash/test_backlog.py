"""Six hours that nobody has read, of partitions with rates 1000:100:10: worked off as if read as it came."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import backlog
from operators.cuts import Cut, Opened, decode
from schemas import topics
from tests.brokers import RealBroker
from tests.crash.verify import read
from tests.flows.running import Scope

UNITS = 5
ALIGNMENT = 5 * 60_000


@pytest.fixture
def shop(kafka: RealBroker, scope: str, tmp_path: Path) -> Iterator[Scope]:
    found = Scope(kafka, scope, tmp_path, ("web", "app", "pos"), alignment="5m", cut_events="500")
    found.create_topics()
    yield found
    found.close()


def test_a_backlog_is_worked_off_in_event_time_and_no_absence_is_false_early_or_missing(shop: Scope) -> None:
    moments: dict[int, list[int]] = {0: [], 1: [], 2: []}
    values: dict[int, list[bytes]] = {0: [], 1: [], 2: []}
    for source, at, value in backlog.events(UNITS):
        moments[source].append(at)
        values[source].append(value)
    for source, name in enumerate(("web", "app", "pos")):
        shop.send(*values[source], source=name)
    shop.complete()
    found = {record.body["key"]: record.body["decided_at"] for record in shop.records("triggers")}
    assert found == backlog.abandoned(UNITS)
    assert widest(shop, moments) <= ALIGNMENT


def widest(shop: Scope, moments: dict[int, list[int]]) -> int:
    """How far, in ms, a cut let one source in beyond where another still had something to give."""
    names = {shop.topic(name): source for source, name in enumerate(("web", "app", "pos"))}
    ends = dict.fromkeys(names.values(), 0)
    apart, cuts = 0, 0
    ((_, rows),) = read(shop.broker.bootstrap, [topics.order(shop.name)]).items()
    for record in map(decode, (row.value for row in rows)):
        if isinstance(record, Opened):
            places = record.partitions
            continue
        assert isinstance(record, Cut)
        cuts += 1
        for index, end in record.ends.items():
            topic, partition, _ = places[index]
            if topic in names and partition == 0:
                ends[names[topic]] = end
        newest = max((moments[source][end - 1] for source, end in ends.items() if end), default=0)
        waiting = [moments[source][end] for source, end in ends.items() if end < len(moments[source])]
        if waiting:
            apart = max(apart, newest - min(waiting))
    assert cuts > 20
    return apart
