"""What two playbooks made of the same events, compared: triggers and what was held back.

Ids cannot be compared: they contain the rule's content and the customer's id. What is the same in both is why
something was decided: the rule's name, the person, the key, and the event that was the cause.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from operators.regrouping import People

APPEARED, DISAPPEARED, MOVED, REASON = "appeared", "disappeared", "moved", "reason"
KINDS = (APPEARED, DISAPPEARED, MOVED, REASON)
DAY = 86_400_000  # ms; what goes out later than that because of another event is another trigger


class Outcome(NamedTuple):
    """What came of one candidate at `at` (event time, ms): a trigger, or `held` back for this reason.
    `cause` is the message id, or the place, of the event that made it one."""

    id: str
    rule: str
    customer: str
    key: str
    cause: str
    at: int
    held: str = ""
    why: str = ""


class Side(msgspec.Struct):
    """What one of the runs made of a candidate. `known_as`: some identifiers of the customer."""

    id: str
    customer: str
    cause: str
    at: int
    held: str
    why: str
    known_as: list[str] = []


class Change(msgspec.Struct):
    """One difference. `what`: a trigger appeared, disappeared or moved, or a candidate is held back for
    another reason. Of a trigger that one run did not send the side of that run says why, if there was a
    candidate at all."""

    what: str
    rule: str
    key: str
    old: Side | None
    new: Side | None


class Counts(msgspec.Struct):
    """Triggers: old = same + moved + disappeared, new = same + moved + appeared. By day (UTC) a moved one
    counts on its old day, and in `new` on its new one."""

    old: int = 0
    new: int = 0
    same: int = 0
    moved: int = 0
    appeared: int = 0
    disappeared: int = 0


def add(rows: Iterable[Counts]) -> Counts:
    """
    >>> add([Counts(1, 2), Counts(3)])
    Counts(old=4, new=2, same=0, moved=0, appeared=0, disappeared=0)
    """
    listed = list(rows)
    return Counts(*(sum(getattr(row, name) for row in listed) for name in Counts.__struct_fields__))


class RuleRow(msgspec.Struct):
    """`written`: same, changed, added or removed in the playbook, or engine, which decides on its own about
    merges and repeated message ids. `held`: reason -> how often in the old run and in the new one."""

    written: str = "engine"
    triggers: Counts = msgspec.field(default_factory=Counts)
    cancelled: tuple[int, int] = (0, 0)
    held: dict[str, tuple[int, int]] = {}


class ReasonChange(msgspec.Struct):
    rule: str
    old: str
    new: str
    count: int


class Compared(msgspec.Struct):
    """`rules` by name, `days` by day and rule, `changes`: examples of each kind and rule, the earliest
    first."""

    rules: dict[str, RuleRow]
    days: dict[str, dict[str, Counts]]
    reasons: list[ReasonChange]
    changes: list[Change]


class Report(msgspec.Struct, kw_only=True):
    """A rehearsal. `events`: records of the range; `settings`: sections of the playbook, beside the triggers,
    that say something else; `dead_letters`: what went wrong, how often in the old run and in the new one."""

    scope: str
    old: str
    new: str
    begin: str
    end: str
    events: int
    settings: list[str]
    people: People
    dead_letters: dict[str, tuple[int, int]]
    compared: Compared

    @property
    def total(self) -> Counts:
        return add(row.triggers for row in self.compared.rules.values())

    @property
    def differs(self) -> bool:
        people, total = self.people, self.total
        return bool(
            total.moved or total.appeared or total.disappeared or self.compared.reasons
            or people.merged or people.split or people.regrouped or people.gone or people.appeared
            or any(old != new for row in self.compared.rules.values() for old, new in row.held.values())
        )  # fmt: skip


_Pair = tuple[Outcome | None, Outcome | None]
_ALWAYS = 1 << 62


class _Group:
    """Candidates of the same rule, person, key and cause that are not matched yet."""

    __slots__ = ("new", "old")

    def __init__(self) -> None:
        self.old: list[Outcome] = []
        self.new: list[Outcome] = []


class Comparison:
    """Takes the outcomes of the old run, then those of the new one; `result` compares.

    `old_person` and `new_person` name the people behind a customer id of either run, the same people alike.
    Memory: what the old run decided; of the new run only what differs.
    """

    def __init__(self, old_person: Callable[[str], str], new_person: Callable[[str], str]) -> None:
        self._people = old_person, new_person
        self._groups: dict[tuple[str, str, str, str], _Group] = defaultdict(_Group)
        self._rules: dict[str, RuleRow] = defaultdict(RuleRow)
        self._days: dict[str, dict[str, Counts]] = defaultdict(lambda: defaultdict(Counts))

    def old(self, outcome: Outcome) -> None:
        self._tally(outcome, 0)
        self._group(outcome, 0).old.append(outcome)

    def new(self, outcome: Outcome) -> None:
        self._tally(outcome, 1)
        group = self._group(outcome, 1)
        for i, one in enumerate(group.old):
            if one.at == outcome.at and one.held == outcome.held:
                del group.old[i]
                if not outcome.held:
                    self._count(outcome, "same")
                return
        group.new.append(outcome)

    def cancelled(self, rule: str, new: bool) -> None:
        self._rules[rule].cancelled = _more(self._rules[rule].cancelled, new)

    def result(self, old: Mapping[str, str], new: Mapping[str, str], examples: int) -> Compared:
        """`old` and `new`: the rules of both playbooks, name -> hash; `examples` of each rule and kind. To be
        asked once."""
        for rule in old.keys() | new.keys():
            self._rules[rule].written = (
                "added" if rule not in old
                else "removed" if rule not in new
                else "same" if old[rule] == new[rule] else "changed"
            )  # fmt: skip
        reasons: Counter[tuple[str, str, str]] = Counter()
        found: dict[tuple[str, ...], list[_Pair]] = defaultdict(list)
        for what, before, after in self._changes():
            one = before or after
            assert one is not None
            kind: tuple[str, ...] = (one.rule, what)
            if what == REASON and before and after:
                reasons[one.rule, before.held, after.held] += 1
                kind = (one.rule, what, before.held, after.held)
            elif what in (MOVED, DISAPPEARED):
                self._count(one, what)
            elif after is not None:
                self._count(after, what)
            found[kind].append((before, after))
        return Compared(
            rules=dict(sorted(self._rules.items())),
            days={day: dict(sorted(rows.items())) for day, rows in sorted(self._days.items())},
            reasons=[ReasonChange(*it, count) for it, count in sorted(reasons.items(), key=_most)],
            changes=[
                _change(kind[1], *pair)
                for kind in sorted(found)
                for pair in sorted(found[kind], key=_when)[:examples]
            ],
        )

    def _changes(self) -> Iterator[tuple[str, Outcome | None, Outcome | None]]:
        """What differs. A trigger that only one run sent comes with what the other did instead."""
        alone: dict[tuple[str, str, str], _Group] = defaultdict(_Group)
        instead: tuple[dict[Outcome, Outcome], dict[Outcome, Outcome]] = ({}, {})
        for (rule, person, key, _), group in self._groups.items():
            for old, new in _nearest(group.old, group.new, _ALWAYS):
                if old is not None and new is not None:
                    if not old.held and not new.held:
                        yield MOVED, old, new
                        continue
                    if old.held and new.held:
                        if old.held != new.held:
                            yield REASON, old, new
                        continue
                    instead[0][old], instead[1][new] = new, old
                if old is not None and not old.held:
                    alone[rule, person, key].old.append(old)
                if new is not None and not new.held:
                    alone[rule, person, key].new.append(new)
        for group in alone.values():
            for old, new in _nearest(group.old, group.new, DAY):
                if new is None and old is not None:
                    yield DISAPPEARED, old, instead[0].get(old)
                elif old is None and new is not None:
                    yield APPEARED, instead[1].get(new), new
                else:
                    yield MOVED, old, new

    def _group(self, outcome: Outcome, side: int) -> _Group:
        person = self._people[side](outcome.customer)
        return self._groups[outcome.rule, person, outcome.key, outcome.cause]

    def _tally(self, outcome: Outcome, side: int) -> None:
        if outcome.held:
            held = self._rules[outcome.rule].held
            held[outcome.held] = _more(held.get(outcome.held, (0, 0)), side == 1)
        else:
            self._count(outcome, ("old", "new")[side])

    def _count(self, outcome: Outcome, what: str) -> None:
        rule = outcome.rule
        for row in (self._rules[rule].triggers, self._days[day(outcome.at)][rule]):
            setattr(row, what, getattr(row, what) + 1)


def day(at: int) -> str:
    """
    >>> day(1_772_445_600_000)
    '2026-03-02'
    """
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d")


def _nearest(old: list[Outcome], new: list[Outcome], within: int) -> Iterator[_Pair]:
    """Pairs of one of each, those nearest in time first, at most `within` (ms) apart; then what is left
    over. The order of the arguments makes no difference."""
    olds, news = sorted(old, key=_time), sorted(new, key=_time)
    times = [one.at for one in news]
    near: list[tuple[Any, ...]] = []
    for i, one in enumerate(olds):
        for j in range(bisect_left(times, one.at - within), bisect_right(times, one.at + within)):
            other = news[j]
            apart = abs(one.at - other.at), one.held != other.held
            near.append((*apart, *sorted((one.at, other.at)), *sorted((one.id, other.id)), i, j))
    left = {*range(len(olds))}, {*range(len(news))}
    for *_, i, j in sorted(near):
        if i in left[0] and j in left[1]:
            left[0].discard(i)
            left[1].discard(j)
            yield olds[i], news[j]
    yield from ((olds[i], None) for i in sorted(left[0]))
    yield from ((None, news[j]) for j in sorted(left[1]))


def _time(one: Outcome) -> tuple[int, str]:
    return one.at, one.id


def _when(pair: _Pair) -> tuple[tuple[int, str], ...]:
    return tuple(sorted(_time(one) for one in pair if one is not None))


def _most(counted: tuple[tuple[str, str, str], int]) -> tuple[int, tuple[str, str, str]]:
    return -counted[1], counted[0]


def _more(counts: tuple[int, int], new: bool) -> tuple[int, int]:
    return counts[0] + (not new), counts[1] + new


def _change(what: str, old: Outcome | None, new: Outcome | None) -> Change:
    one = old or new
    assert one is not None
    return Change(what, one.rule, one.key, *(_side(it) if it else None for it in (old, new)))


def _side(one: Outcome) -> Side:
    return Side(one.id, one.customer, one.cause, one.at, one.held, one.why)
