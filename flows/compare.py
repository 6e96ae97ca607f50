"""What a replay decided differently from the live run, and why.

The outputs of both are compared by id. Only if some differ is the input read again, twice: who may be one
person, and then what came out of order among the people in question, in the cuts of either run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import orjson

from flows import intake, kafka, tail
from flows.cloudevents import CUT, ID, SOURCE, made_in
from flows.plan import LIVE, Plan
from flows.ranges import BadRange
from flows.recorded import Recorded
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
    PLAYBOOK,
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

COMPARED = (topics.TRIGGERS, topics.DECISIONS, topics.DEAD_LETTERS, topics.IDENTITIES)
EXAMPLES = 5
_ABOUT = re.compile(rb'"(?:product|store|content)_id":\s*"([^"]+)"')
_MOVE = re.compile(rb',"move":\d+')
_MOMENTS = ("decided_at", "cancelled_at", "at", "as_of")


class Output(NamedTuple):
    """`digest` of its body, `key` of its record, `at` when it was decided (ms), by which `rule`, and the hash
    of what that says."""

    digest: int
    key: str
    at: int
    rule: str
    rule_hash: str


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


class Report(msgspec.Struct):
    """`compared`: per topic how many there were live, in the replay, and the same in both."""

    space: str
    first_cut: int
    last_cut: int
    compared: dict[str, dict[str, int]]
    causes: dict[str, int]
    unexplained: int
    differences: list[Difference]


def check(plan: Plan) -> None:
    """Raises BadRange where there will be nothing to compare."""
    kept_back = [topics.OUTPUTS[code].name for code in COMPARED if code not in plan.outputs]
    if kept_back or plan.published:
        raise BadRange(
            "--compare looks at what the replay writes to topics of its own; with --output "
            f"{plan.output} it does not write all of that. Leave --output out"
        )


def compare(book: Playbook, brokers: str, plan: Plan, chosen: Set[str] = frozenset()) -> Report:
    """Of a replay that has ended; `chosen`: the identifiers of the people it is of, if not of all. Raises
    KafkaTrouble."""
    live, first, last, playbooks = _range(book, brokers, plan)
    mine = _order(brokers, topics.order(plan.space))[0]
    whose = _whose(book, brokers, plan, chosen) if chosen else None
    differences: list[Difference] = []
    rules: dict[str, set[str]] = {}
    compared = {}
    for code in COMPARED:
        name = topics.OUTPUTS[code].name
        numbered = plan.order == LIVE
        theirs = _outputs(brokers, book.scope, code, first, last, numbered)
        if whose is not None:
            theirs = {id: it for id, it in theirs.items() if it.key in whose}
        for it in theirs.values():
            rules.setdefault(it.rule, set()).add(it.rule_hash)
        ours = _outputs(brokers, plan.space, code, 0, 1 << 62, numbered)
        found = _differences(name, theirs, ours)
        same = len(theirs) - sum(it.what != "new" for it in found)
        compared[name] = {"live": len(theirs), "replay": len(ours), "same": same}
        differences += found
    if differences:
        _explain(book, brokers, plan, differences, live, mine)
    if playbooks - {plan.playbook}:
        for one in differences:
            if one.cause == NONE or _by_another_rule(one, book, rules):
                one.cause, one.detail = PLAYBOOK, "the live run had another playbook"
    causes = Counter(it.cause for it in differences)
    return Report(
        plan.space,
        first,
        last,
        compared,
        dict(causes.most_common()),
        causes[NONE],
        sorted(differences, key=lambda it: (it.cause != NONE, it.topic, it.at, it.id)),
    )


def _whose(book: Playbook, brokers: str, plan: Plan, chosen: Set[str]) -> set[str]:
    """The keys of output records about people with these identifiers: customer ids, and places of events."""
    found = {customer_id(book.scope, key) for key in chosen}
    reference = book.reference.values()  # is everybody's
    for _, place, offset, kind, keys, _, _ in _events(book, brokers, plan, None, "whose events"):
        if place.rpartition("/")[0] in reference or (kind == EVENT and not chosen.isdisjoint(keys)):
            found.add(f"{place}/{offset}")
    return found


def _by_another_rule(one: Difference, book: Playbook, rules: dict[str, set[str]]) -> bool:
    """Whether the live run and the replay had different rules of that name. `rules`: what is known of the
    hashes of the live ones."""
    mine = book.rules.get(one.rule)
    if one.what == "missing":
        return bool(one.rule) and (mine is None or mine.hash != one.rule_hash)
    return one.rule in rules and one.rule_hash not in rules[one.rule]


def _range(book: Playbook, brokers: str, plan: Plan) -> tuple[Order, int, int, set[str]]:
    """The cuts of the live run that belong to the range, the first number of them and the last, and the
    hashes of the playbooks that made them."""
    ends = {f"{part.topic}/{part.partition}": part.end for part in plan.parts}
    starts = {f"{part.topic}/{part.partition}": part.start for part in plan.parts}
    order, made_by = _order(brokers, topics.order(book.scope))
    numbers = order.numbers
    inside = [i for i in range(len(numbers)) if order.reaches(i, starts) and not order.exceeds(i, ends)]
    if not inside:
        return order.up_to(0), 0, 0, set()
    playbooks = {made_by[i] for i in inside}
    return order.up_to(inside[-1] + 1), numbers[inside[0]], numbers[inside[-1]], playbooks


def _order(brokers: str, topic: str) -> tuple[Order, list[str]]:
    """The cuts, and of each the hash of the playbook."""
    order, made_by = Order(), []
    low, high = kafka.extent(brokers, (topic, 0))
    reader = Recorded(brokers, topic, low, high)
    try:
        while not reader.done:
            if (written := reader.peek(0.1)) is None:
                continue
            reader.pop()
            places = written.marker.partitions
            ends = {"{}/{}".format(*places[i][:2]): end for i, end in written.cut.ends.items()}
            order.add(written.cut.number, written.cut.watermark, ends)
            made_by.append(written.marker.playbook)
    finally:
        reader.close()
    return order, made_by


def _outputs(brokers: str, space: str, code: int, first: int, last: int, numbered: bool) -> dict[str, Output]:
    """By id, of the cuts `first` to `last`, without what a replay has published there. Merges are numbered in
    the order of all events, so unless that is the same, `numbered`, their numbers say nothing about the
    people."""
    found = {}
    topic, source = topics.output(space, code), made_in(space).encode()
    for record in tail.history(brokers, [topic], f"reading {topic}"):
        headers = dict(record.headers() or [])
        if ID not in headers or CUT not in headers or not first <= int(headers[CUT]) <= last:
            continue
        if headers.get(SOURCE) != source:
            continue
        body = record.value() or b""
        if not numbered:
            body = _MOVE.sub(b"", body)
        key = (record.key() or b"").decode()
        said: dict[str, Any] = orjson.loads(body)
        at = next((int(said[name]) for name in _MOMENTS if name in said), -1)
        found[headers[ID].decode()] = Output(
            hash(body), key, at, said.get("rule", ""), said.get("rule_hash", "")
        )
    return found


def _differences(topic: str, live: dict[str, Output], replay: dict[str, Output]) -> list[Difference]:
    found = [
        Difference(topic, "missing", id, it.key, it.at, it.rule, it.rule_hash)
        for id, it in live.items()
        if id not in replay
    ]
    for id, it in replay.items():
        if id not in live:
            found.append(Difference(topic, "new", id, it.key, it.at, it.rule, it.rule_hash))
        elif live[id].digest != it.digest:
            found.append(Difference(topic, "altered", id, it.key, it.at, it.rule, it.rule_hash))
    return found


class _People:
    """Of one group of connected identifiers: their events, what those are about, when something was decided
    differently, and a place where the replay took something else than the live run."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.about: set[str] = set()
        self.moments: list[int] = []
        self.mended = ""


def _explain(
    book: Playbook, brokers: str, plan: Plan, differences: list[Difference], live: Order, mine: Order
) -> None:
    groups = Groups()
    reference: dict[str, list[Row]] = {}
    mended: set[str] = set()  # places, and what reference data there was about
    mend = Mended(book, brokers, Path(plan.transform)) if plan.transform else None
    for at, place, offset, kind, keys, _, other in _events(book, brokers, plan, mend, "who is who"):
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
    for at, place, offset, kind, keys, raw, other in _events(book, brokers, plan, mend, "their events"):
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


def _events(
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


def text(report: Report) -> Iterable[str]:
    """The report for people, line by line."""
    yield f"{report.space} against the live cuts up to {report.last_cut}"
    for name, row in report.compared.items():
        yield f"  {name:<14}{row['live']:>9,} live {row['replay']:>9,} replayed {row['same']:>9,} the same"
    if not report.differences:
        yield "no differences"
        return
    yield f"{len(report.differences):,} differences, {report.unexplained:,} of them unexplained"
    for reason, count in report.causes.items():
        yield f"  {count:>9,}  {reason}"
        for one in [it for it in report.differences if it.cause == reason][:EXAMPLES]:
            yield f"             {one.what} {one.topic} {one.id} of {one.key}: {one.detail}"
