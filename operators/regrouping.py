"""Who would be one person with one playbook and not with another, from what both made of the same events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import msgspec

from operators.groups import Groups

Row = tuple[str, str | None, str | None]  # identifier, whose it is in the old run, whose in the new

MERGED, SPLIT, REGROUPED = "merged", "split", "regrouped"
SHOWN = 12  # identifiers of one customer that an example shows
_OLD, _NEW = "o", "n"


class Person(msgspec.Struct):
    """A customer of one run. `more`: how many identifiers there are beside those listed."""

    customer: str
    identifiers: list[str]
    more: int = 0


class Regrouping(msgspec.Struct):
    """Customers of the old run and of the new one that share identifiers. `what`: merged (several are one),
    split (one is several) or regrouped (several are several others)."""

    what: str
    old: list[Person]
    new: list[Person]


class People(msgspec.Struct, kw_only=True):
    """How many customers either run knows, how many groups of them were merged, split or regrouped, how
    many customers of the old run are `gone` because no event of the new one has any of their identifiers,
    and how many have `appeared`. `examples`: those with the most customers first."""

    old: int = 0
    new: int = 0
    merged: int = 0
    split: int = 0
    regrouped: int = 0
    gone: int = 0
    appeared: int = 0
    examples: list[Regrouping] = []


class Matching:
    """Which customers of two runs are the same people.

    `scan` gives every identifier of either run, as often as it is called. What is kept is only about
    customers that differ: an id that owns the same identifiers in both runs costs nothing.
    """

    def __init__(self, scan: Callable[[], Iterable[Row]]) -> None:
        self._scan = scan
        self._groups = groups = Groups()
        self._gone: set[str] = set()
        self._appeared: set[str] = set()
        for _, old, new in scan():
            if old is None:
                self._appeared.add(new or "")
            elif new is None:
                self._gone.add(old)
            elif old != new:
                groups.join((_OLD + old, _NEW + new))
        for _, old, new in scan():
            if old is None or new is None:
                continue
            self._gone.discard(old)
            self._appeared.discard(new)
            if old == new and (groups.of(_OLD + old) >= 0 or groups.of(_NEW + new) >= 0):
                groups.join((_OLD + old, _NEW + new))

    def old(self, customer: str) -> str:
        """A name that the same people have in both runs; `customer`: of the old run, as it is at the end."""
        return self._person(_OLD + customer)

    def new(self, customer: str) -> str:
        return self._person(_NEW + customer)

    def people(self, old: int, new: int, examples: int) -> People:
        """`old` and `new`: how many customers there are."""
        sides = self._sides()
        kinds = {
            group: kind for group, (olds, news) in sides.items() if (kind := _kind(len(olds), len(news)))
        }
        shown = sorted(kinds, key=lambda group: (-sum(map(len, sides[group])), *map(min, sides[group])))
        shown = shown[:examples]
        members = self._members(set(shown))
        found = list(kinds.values())
        return People(
            old=old,
            new=new,
            merged=found.count(MERGED),
            split=found.count(SPLIT),
            regrouped=found.count(REGROUPED),
            gone=len(self._gone),
            appeared=len(self._appeared),
            examples=[
                Regrouping(
                    kinds[group],
                    [_person(id, members[_OLD + id]) for id in sorted(sides[group][0])],
                    [_person(id, members[_NEW + id]) for id in sorted(sides[group][1])],
                )
                for group in shown
            ],
        )

    def _person(self, side: str) -> str:
        group = self._groups.of(side)
        return side[1:] if group < 0 else f"#{group}"

    def _sides(self) -> dict[int, tuple[list[str], list[str]]]:
        """By group, its customers in the old run and in the new one."""
        found: dict[int, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
        for side in self._groups:
            found[self._groups.of(side)][side[0] == _NEW].append(side[1:])
        return found

    def _members(self, wanted: set[int]) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        if wanted:
            for key, old, new in self._scan():
                for mark, customer in ((_OLD, old), (_NEW, new)):
                    if customer is not None and self._groups.of(mark + customer) in wanted:
                        found[mark + customer].append(key)
        return found


def _kind(old: int, new: int) -> str:
    if old == 1:
        return SPLIT if new > 1 else ""
    return MERGED if new == 1 else REGROUPED


def _person(customer: str, identifiers: list[str]) -> Person:
    identifiers.sort()
    return Person(customer, identifiers[:SHOWN], max(0, len(identifiers) - SHOWN))
