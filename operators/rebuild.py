"""A customer made again from their events, by the core that made them.

The events of all their leaves are folded in the order in which they were worked off, as if the leaves had
been one customer from the start. So what was counted of a customer comes out as it is live, and of some of
the leaves only, as it would be had the others never been linked to them. What was decided is another
matter: rules are asked again, and a merge may have kept them from deciding then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from operators import records
from operators.customers import Customers
from operators.history import Happened
from operators.intents import alarm_of
from operators.operations import EVENT, Operation, Pack
from operators.playbook import Playbook
from operators.records import Record
from operators.reference import Table
from operators.timers import Timers


class _Alone(dict[str, Record]):
    """The records of a shard with one customer at a time."""

    def begin(self, record: Record) -> None:
        self.clear()
        self[record.id] = record
        self._start = record.encode()

    def stored(self, id: str, /) -> Record | None:
        return records.decode(id, self._start)

    def touch(self, record: Record, /) -> None:
        self[record.id] = record

    def drop(self, id: str, /) -> None:
        self.pop(id, None)


def counting(playbook: Playbook) -> Playbook:
    """The playbook without what decides, scores and tells: it only counts."""
    return playbook._replace(
        rules={}, reactions={}, profiles=None, churn=None, generations={}, later={}, hidden=set()
    )


class Rebuilder:
    """Makes records again. `known`: the reference data there is."""

    def __init__(self, playbook: Playbook, known: Table) -> None:
        self._alone, self._timers = _Alone(), Timers(lambda low, high: ())
        self._shard = Customers(playbook, 0, self._alone, self._timers, known)

    def record(
        self, customer: str, found: Iterable[Happened], start: Record | None = None, until: int = -1
    ) -> Record:
        """The record of `customer` after the events `found`, which are in recorded order, when the watermark
        is `until` (ms). `start`: what was counted before the first of them; it is used up."""
        alone = self._alone
        alone.begin(start or Record(customer))
        now = -1
        for pack in _packs(customer, found):
            now = self._pass_time(customer, now, pack.before)
            self._shard.apply(pack)
            now = pack.watermark
        self._pass_time(customer, now, until)
        self._shard.all_written()
        self._timers.reset(customer, -1)
        self._timers.changes.clear()
        return alone[customer]

    def _pass_time(self, customer: str, now: int, until: int) -> int:
        """What comes due does so in time, as it did between the cuts that brought this customer nothing."""
        while now < (due := alarm_of(self._alone[customer].part("core"))) <= until:
            self._shard.apply(Pack(0, 0, due, now, 0, 0, False, []))
            now = due
        return now


def _packs(customer: str, found: Iterable[Happened]) -> Iterator[Pack]:
    for cut, its in groupby(found, key=lambda it: it.cut):
        happened = list(its)
        one = happened[0]
        operations: list[Operation] = [
            (EVENT, customer, it.at, it.place, it.offset, it.arrived, it.leaf, it.raw) for it in happened
        ]
        newest = max(it.arrived for it in happened)
        yield Pack(0, cut, one.watermark, one.before, 0, newest, False, operations)
