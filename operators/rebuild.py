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
from operators.customers import Customers, Scratch
from operators.events import Reader, Reading
from operators.history import Happened
from operators.intents import Intents, alarm_of
from operators.operations import EVENT, Operation, Pack
from operators.parts import Core
from operators.playbook import Playbook
from operators.records import Record
from operators.reference import Table
from operators.scores import Foresight, News
from operators.served import Taken
from operators.timers import Timers


class _Alone(Scratch):
    """The records of a shard with one customer at a time."""

    def begin(self, record: Record) -> None:
        self.clear()
        self[record.id] = record
        self._start = record.encode()

    def stored(self, id: str, /) -> Record | None:
        return records.decode(id, self._start)


class Rebuilder:
    """Makes records again. `known`: the reference data there is; `models`: those that score, if any do."""

    def __init__(self, playbook: Playbook, known: Table, models: Iterable[Taken] = ()) -> None:
        self._alone, self._timers = _Alone(), Timers(lambda low, high: ())
        self._shard = self._customers(playbook, known, models)
        self.playbook = self._shard.playbook  # with the models

    def _customers(self, playbook: Playbook, known: Table, models: Iterable[Taken]) -> Customers:
        return Customers(playbook, 0, self._alone, self._timers, known, models=models)

    def record(
        self, customer: str, found: Iterable[Happened], start: Record | None = None, until: int = -1
    ) -> Record:
        """The record of `customer` after the events `found`, which are in recorded order, when the watermark
        is `until` (ms). `start`: what was counted before the first of them; it is used up."""
        alone = self._alone
        alone.begin(start or Record(customer))
        self._shard.take_up(alone[customer])
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


class Counter(Rebuilder):
    """Only counts, purchases too: asks no rule, scores nobody, tells nobody. What the playbook refuses in an
    event for the sake of a rule it refuses here, too."""

    def _customers(self, playbook: Playbook, known: Table, models: Iterable[Taken]) -> Customers:
        silent = playbook._replace(
            rules={}, reactions={}, profiles=None, generations={}, later={}, hidden=set()
        )
        return Customers(
            silent, 0, self._alone, self._timers, known,
            foresight=_Counted(silent) if playbook.foretold else None,
            reads=lambda enrichment: _Silent(playbook, enrichment),
        )  # fmt: skip


class _Silent(Reader):
    """Says nothing of what an event means to rules, once that was found good."""

    def read(self, raw: bytes, at: int, place: str, completed: bool = False) -> Reading:
        message, form, row, _, consent, addresses, news = super().read(raw, at, place, completed)
        return message, form, row, [], consent, addresses, news


class _Counted(Foresight):
    """Counts what scores are made of."""

    def event(
        self, intents: Intents, record: Record, core: Core, news: tuple[News, ...], at: int, message: str,
        before: int,
    ) -> None:  # fmt: skip
        for subject, what in news:
            self.scores[subject].count(record, at, what)

    def take_up(self, record: Record) -> None:
        """Nobody is scored here either."""
