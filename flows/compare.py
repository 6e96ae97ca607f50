"""What a replay decided differently from the live run.

The outputs of both are compared by id; why some differ says `flows/causes.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Set
from typing import Any, NamedTuple

import msgspec
import orjson

from flows import kafka, tail
from flows.causes import Difference, events, explain
from flows.cloudevents import CUT, ID, SOURCE, made_in
from flows.plan import LIVE, Plan
from flows.ranges import BadRange
from flows.recorded import Recorded
from operators.differences import NONE, PLAYBOOK, Order
from operators.identity import customer_id
from operators.order import EVENT
from operators.playbook import Playbook
from schemas import topics

COMPARED = (topics.TRIGGERS, topics.DECISIONS, topics.DEAD_LETTERS, topics.IDENTITIES)
EXAMPLES = 5
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
        explain(book, brokers, plan, differences, live, mine)
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
    for _, place, offset, kind, keys, _, _ in events(book, brokers, plan, None, "whose events"):
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
