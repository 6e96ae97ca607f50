"""Why a replay decided something differently from the live run.

The input is read again, twice: who may be one person, and then what came out of order among the people in
question, in the cuts of either run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from flows import intake, kafka, tail
from flows.plan import LIVE, Plan
from flows.selection import Mended
from operators import told
from operators.churn import published
from operators.churn.published import Incompatible
from operators.differences import (
    BEGINNING,
    END,
    LATE_REFERENCE,
    MENDED,
    MODEL,
    NONE,
    Cause,
    Late,
    Order,
    Row,
    Serving,
    apart,
    cause,
    moment,
    scored_apart,
)
from operators.groups import Groups
from operators.identity import customer_id
from operators.order import EVENT, REFERENCE
from operators.playbook import Playbook
from operators.questions import roots
from schemas import topics

_ABOUT = re.compile(rb'"(?:product|store|content)_id":\s*"([^"]+)"')


class Difference(msgspec.Struct):
    """`what`: missing (only live decided so), new (only the replay did), or altered (another body)."""

    topic: str
    what: str
    id: str
    key: str
    at: int
    rule: str
    rule_hash: str = ""
    cause: str = NONE
    detail: str = ""


class _People:
    """Of one group of connected identifiers: their events, what those are about, when something was decided
    differently, and a place where the replay took something else than the live run."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.about: set[str] = set()
        self.moments: list[int] = []
        self.mended = ""


def explain(
    book: Playbook, brokers: str, plan: Plan, differences: list[Difference], live: Order, mine: Order
) -> None:
    """Write down at each difference what it comes from, as far as that is found. `live` and `mine`: the cuts
    of either run. Raises KafkaTrouble."""
    groups = Groups()
    reference: dict[str, list[Row]] = {}
    mended: set[str] = set()  # places, and what reference data there was about
    mend = Mended(book, brokers, Path(plan.transform)) if plan.transform else None
    for at, place, offset, kind, keys, _, other in events(book, brokers, plan, mend, "who is who"):
        live.saw(place, offset, at)
        mine.saw(place, offset, at)
        if other:
            mended.add(f"{place}/{offset}")
        if kind == EVENT:
            groups.join(keys)
        elif kind == REFERENCE:
            reference.setdefault(keys.id, []).append(Row(place, offset, at))
            if other:
                mended.add(keys.id)
    wanted = {it.key for it in differences}
    owner = {id: groups.of(key) for key in groups if (id := customer_id(book.scope, key)) in wanted}
    places = {it.key for it in differences if it.key not in owner}
    people: dict[int, _People] = {group: _People() for group in owner.values()}
    for at, place, offset, kind, keys, raw, other in events(book, brokers, plan, mend, "their events"):
        if kind != EVENT:
            continue
        group = groups.of(keys[0])
        if f"{place}/{offset}" in places:
            owner[f"{place}/{offset}"] = group
            people.setdefault(group, _People())
        if group in people:
            them = people[group]
            them.rows.append(Row(place, offset, at, len(keys) > 1))
            them.about.update(it.decode(errors="replace") for it in _ABOUT.findall(raw))
            if other:
                them.mended = them.mended or f"{place}/{offset}"
    began = any(part.start for part in plan.parts)
    reached = min(max(it.watermarks, default=-1) for it in (live, mine))
    for one in differences:
        if (group := owner.get(one.key, -1)) in people:
            people[group].moments.append(one.at)
    repeats = plan.order == LIVE  # then nothing came in another order than live
    causes = {
        group: _mended(them, mended)
        or (None if repeats else cause(them.rows, live, mine, them.moments))
        or _outside(them, reference, live)
        or (None if repeats else _late_reference(them, reference, live, mine))
        for group, them in people.items()
    }
    scored, models = _of_scores(book), _other_models(book, brokers, plan, live, mine)
    for one in differences:
        group = owner.get(one.key, -1)
        found = _of_place(one.key, mended, live) or causes.get(group)
        if group in people:
            for subject in scored.get(one.rule, ()):
                if found is not None and subject not in plan.fixed:
                    continue
                definition = book.foretold[subject].definition
                every, throttle = definition.every, definition.throttle
                if scored_apart(people[group].rows, every, throttle, one.at, models[subject]):
                    fixed = plan.fixed.get(subject)
                    given = "another model" if fixed is None else f"--model {subject}={fixed}"
                    found = Cause(MODEL, f"decided from a score, which {given} gave in the replay")
        if found is None and one.at > reached:
            found = Cause(END, f"one of the two had come to {moment(reached)} only when it ended")
        if found is None and began:
            found = Cause(BEGINNING, "the replay knows nothing of what was before its range")
        if found is not None:
            one.cause, one.detail = found


def _of_scores(book: Playbook) -> dict[str, set[str]]:
    """The rules that decide from scores, and from those of which subjects."""
    return {
        name: {told.OF[it] for it in roots(book.features, (rule.of, *rule.facts)) if it in told.OF}
        for name, rule in book.rules.items()
    }


def _other_models(
    book: Playbook, brokers: str, plan: Plan, live: Order, mine: Order
) -> dict[str, list[tuple[int, int]]]:
    """By subject, when (low, high] in event time the two runs scored by other models."""
    if not book.foretold:
        return {}
    topic = topics.learning(book.scope, "models")
    models: dict[str, list[tuple[int, int]]] = {subject: [] for subject in book.foretold}
    for record in tail.history(brokers, [topic], partitions=[0]):
        try:
            model = published.read(record.value() or b"")
        except Incompatible:  # nobody could use it
            continue
        if model.subject in models:
            models[model.subject].append((record.offset(), model.version))
    found = {}
    for subject, rows in models.items():
        theirs, ours = (order.served(f"{topic}/0", rows) for order in (live, mine))
        if subject in plan.fixed:
            ours = [Serving(-1, plan.fixed[subject])]
        found[subject] = apart(theirs, ours)
    return found


def _of_place(key: str, mended: set[str], live: Order) -> Cause | None:
    """Of a letter about the record at the place `key`."""
    place, _, offset = key.rpartition("/")
    if key in mended:
        return Cause(MENDED, f"the replay took {key} as --transform mends it")
    if offset.isdecimal() and live.cut_of(place, int(offset)) is None:
        return Cause(END, f"the live run has not let {key} in yet")
    return None


def _mended(people: _People, mended: set[str]) -> Cause | None:
    what = people.mended or next(iter(sorted(people.about & mended)), "")
    return Cause(MENDED, f"the replay took {what} as --transform mends it") if what else None


def _late_reference(
    people: _People, reference: dict[str, list[Row]], live: Order, mine: Order
) -> Cause | None:
    for id in sorted(people.about & reference.keys()):
        rows = [*people.rows, *reference[id]]
        late: list[Late] = [*live.late(rows), *mine.late(rows)]
        if late:
            first = late[0]
            return Cause(LATE_REFERENCE, f"what {first.place}/{first.offset} says of {id} came out of order")
    return None


def _outside(people: _People, reference: dict[str, list[Row]], live: Order) -> Cause | None:
    about = (row for id in sorted(people.about & reference.keys()) for row in reference[id])
    for row in (*people.rows, *about):
        if live.cut_of(row.place, row.offset) is None:
            return Cause(END, f"the live run has not let {row.place}/{row.offset} in yet")
    return None


def events(
    book: Playbook, brokers: str, plan: Plan, mend: Mended | None, what: str
) -> Iterator[tuple[int, str, int, int, Any, bytes, bool]]:
    """(event time, place, offset, kind, identifiers or reference data, raw, whether the replay took something
    else than what is there) of the plan's input, partition by partition."""
    for part, records in intake.records(brokers, plan, what):
        place = f"{part.topic}/{part.partition}"
        others: set[int] = set()
        taken = records if mend is None else _mending(records, mend, others)
        for arrival in intake.arrivals(book, part, taken):
            at, _, offset, kind, _, keys, raw = arrival
            yield at, place, offset, kind, keys, raw, offset in others


def _mending(records: Iterable[kafka.Record], mend: Mended, others: set[int]) -> Iterator[kafka.Record]:
    """What is mended as it is then, what the replay leaves out as it came; both are noted in `others`."""
    for record in records:
        found, _ = mend.of(record)
        if found is not record:
            others.add(record.offset())
        yield record if found is None else found
