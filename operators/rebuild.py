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
    """The records of a shard with one customer."""

    def __init__(self, start: Record) -> None:
        super().__init__({start.id: start})
        self._start = start.encode()

    def stored(self, id: str, /) -> Record | None:
        return records.decode(id, self._start)

    def touch(self, record: Record, /) -> None:
        self[record.id] = record

    def drop(self, id: str, /) -> None:
        self.pop(id, None)


def counting(playbook: Playbook) -> Playbook:
    """The playbook without what decides, scores and tells: it only counts."""
    return playbook._replace(rules={}, reactions={}, profiles=None, churn=None)


def rebuild(
    playbook: Playbook,
    customer: str,
    found: Iterable[Happened],
    known: Table,
    start: Record | None = None,
    until: int = -1,
) -> Record:
    """The record of `customer` after the events `found`, which are in recorded order, when the watermark is
    `until` (ms). `known`: reference data; `start`: what was counted before the first of them, used up."""
    alone, timers = _Alone(start or Record(customer)), Timers(lambda low, high: ())
    shard = Customers(playbook, 0, alone, timers, known)
    now = -1

    def pass_time(until: int) -> None:
        """What comes due does so in time, as it did between the cuts that brought this customer nothing."""
        nonlocal now
        while now < (due := alarm_of(alone[customer].part("core"))) <= until:
            shard.apply(Pack(0, 0, due, now, 0, 0, False, []))
            now = due

    for pack in _packs(customer, found):
        pass_time(pack.before)
        shard.apply(pack)
        now = pack.watermark
    pass_time(until)
    return alone[customer]


def _packs(customer: str, found: Iterable[Happened]) -> Iterator[Pack]:
    for cut, its in groupby(found, key=lambda it: it.cut):
        happened = list(its)
        one = happened[0]
        operations: list[Operation] = [
            (EVENT, customer, it.at, it.place, it.offset, it.arrived, it.leaf, it.raw) for it in happened
        ]
        newest = max(it.arrived for it in happened)
        yield Pack(0, cut, one.watermark, one.before, 0, newest, False, operations)
