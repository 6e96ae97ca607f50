"""What a shard has done since its records were last written back, so that one operation can be undone.

The store holds every record as it was written last. When an event makes a step raise, its customer's
record is made again from there, with the operations since then but for that one. Keeping the packs that
were applied costs nothing an event; only after a failure they are looked through.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from operators.reference import History, Known, Table

FIRE = -1  # in place of an operation's code: the customer's timers fired at the end of a cut


class Cut(Protocol):
    """What is kept of a pack."""

    number: int
    before: int
    watermark: int
    arrived: int
    operations: list[tuple[Any, ...]]


class Done(NamedTuple):
    """An operation and the pack it came with."""

    op: tuple[Any, ...]
    pack: Cut


class Journal:
    """The packs applied since `clear`, and in `poison` the events and moves that none of them applied:
    (place, offset) or the number of the move -> the error.

    Operations with a code up to `last_code` are about a customer, `told` brings reference data.
    """

    def __init__(self, last_code: int, told: int) -> None:
        self._last_code = last_code
        self._told = told
        self._applied: list[tuple[Cut, list[str]]] = []
        self._by_customer: defaultdict[str, list[tuple[int, int, Done]]] = defaultdict(list)
        self._reference: list[tuple[int, int, Done]] = []
        self._written: dict[str, int] = {}  # customer -> packs applied when they were written last
        self._sorted = self._done = 0
        self._known: dict[str, Known | None] = {}
        self.poison: dict[Any, str] = {}  # others hold it, too

    def add(self, pack: Cut, fired: list[str]) -> None:
        """`pack` was applied, and at its end the timers of the customers `fired`."""
        self._applied.append((pack, fired))

    def wrote(self, customers: Iterable[str]) -> None:
        """The records of these are in the store as they are now."""
        self._written.update(dict.fromkeys(customers, len(self._applied)))

    def keep(self, key: str, table: Table) -> None:
        """What is known of `key` in the reference data is about to change."""
        if key not in self._known:
            self._known[key] = _copied(table.get(key))

    def known(self, now: Table) -> Table:
        """The reference data as it was at `clear`."""
        return _Then(self._known, now)

    def clear(self) -> None:
        """Every record was written back."""
        if self._applied:
            self._applied = []
            self._by_customer.clear()
            self._reference = []
            self._sorted = self._done = 0
            self._known = {}
            self._written = {}
            self.poison.clear()

    def of(self, customer: str, pack: Cut, until: tuple[Any, ...]) -> tuple[list[Done], list[Done]]:
        """What was done to a customer and told to all: in earlier packs, and in the current one up to and
        without the operation `until`."""
        for number, (one, fired) in enumerate(self._applied[self._sorted :], self._sorted):
            for op in one.operations:
                if op[0] <= self._last_code:
                    self._note(self._by_customer[op[1]], number, op, one)
                elif op[0] == self._told:
                    self._note(self._reference, number, op, one)
            for id in fired:
                self._note(self._by_customer[id], number, (FIRE, id), one)
        self._sorted = len(self._applied)
        now: list[Done] = []
        for op in pack.operations:
            if op is until:
                break
            if (op[0] <= self._last_code and op[1] == customer) or op[0] == self._told:
                now.append(Done(op, pack))
        since = self._written.get(customer, 0)
        mine = [row for row in self._by_customer.get(customer, ()) if row[1] >= since]
        earlier = sorted([*mine, *self._reference])
        return [done for _, _, done in earlier], now

    def _note(self, rows: list[tuple[int, int, Done]], number: int, op: tuple[Any, ...], pack: Cut) -> None:
        rows.append((self._done, number, Done(op, pack)))
        self._done += 1


class _Then(dict[str, Known]):
    """Reference data as it was before what is in `kept` changed; what is written here stays here."""

    def __init__(self, kept: dict[str, Known | None], now: Table) -> None:
        self._kept = kept
        self._now = now

    def get(self, key: str, /) -> Known | None:  # type: ignore[override]
        if key in self:
            return self[key]
        if key not in self._kept:
            return self._now.get(key)
        found = _copied(self._kept[key])
        if found is not None:
            self[key] = found
        return found


def _copied(known: Known | None) -> Known | None:
    if known is None:
        return None
    return {kind: History(it.newest, list(it.versions)) for kind, it in known.items()}
