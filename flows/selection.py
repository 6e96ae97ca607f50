"""Which records of the input a replay takes, and as what: mended dead letters, chosen customers."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol

from flows import deadletters, intake, kafka
from flows.archive import Archived, Row
from flows.lookup import names_of
from flows.plan import Plan
from flows.ranges import BadRange
from flows.settings import Run
from operators import headers
from operators.groups import Groups
from operators.identifiers import Identifiers
from operators.identity import customer_id
from operators.order import EVENT
from operators.playbook import Playbook

KEYS = "customers"  # the file beside a plan with the identifiers of those who were chosen


class Selecting(Protocol):
    def of(self, record: kafka.Record, /) -> tuple[kafka.Record | None, int]:
        """What to take instead of a record; None to leave it out, with its event time (ms, -1: no matter)."""


class Mended:
    """Dead letters in their place, as a transform mends them. The copies of them that were sent to the end
    of their topic are left out.

    Raises BadTransform, KafkaTrouble.
    """

    def __init__(self, book: Playbook, brokers: str, transform: Path) -> None:
        mend = deadletters.load_transform(transform)
        self._values: dict[tuple[str, int, int], bytes] = {}
        for letter in deadletters.originals(book, brokers):
            value = mend(letter.original, letter)
            if value is not None:
                self._values[letter.topic, letter.partition, letter.offset] = value
        self._places = {f"{topic}/{p}/{offset}".encode() for topic, p, offset in self._values}

    def of(self, record: kafka.Record) -> tuple[kafka.Record | None, int]:
        place, offset = (record.topic(), record.partition()), record.offset()
        value = self._values.get((*place, offset))
        if value is not None:
            return Archived(place, offset, record.timestamp()[1], Row(None, None, record.key(), value)), -1
        sent_from = dict(record.headers() or ()).get(deadletters.FROM)
        return None if sent_from in self._places else record, -1


class Chosen:
    """Only events with one of these identifiers; all reference data. Time goes on with all events."""

    def __init__(self, book: Playbook, keys: Collection[str]) -> None:
        self._keys = keys
        self._reference = set(book.reference.values())
        self._identifiers = Identifiers(book.policies, book.region)

    def of(self, record: kafka.Record) -> tuple[kafka.Record | None, int]:
        if record.topic() in self._reference:
            return record, -1
        try:
            at, keys = headers.read(record.value() or b"", record.timestamp()[1], self._identifiers)
        except headers.BadHeader:
            return None, -1
        return record if any(key in self._keys for key in keys) else None, at


def of(run: Run) -> list[Selecting]:
    """What a replay's plan asks for."""
    assert run.plan is not None
    found: list[Selecting] = []
    if run.plan.transform:
        found.append(Mended(run.playbook, run.brokers, Path(run.plan.transform)))
    if run.plan.chosen:
        found.append(Chosen(run.playbook, chosen(run.directory.root, run.plan)))
    return found


def chosen(root: Path, plan: Plan) -> frozenset[str]:
    """The identifiers of those whom the replay at `root` is of; none where it is of everybody."""
    return frozenset((root / KEYS).read_text().splitlines()) if plan.chosen else frozenset()


def fingerprint(file: Path) -> str:
    """A file and what is in it, so that another content is noticed."""
    return f"{file} {hashlib.sha256(file.read_bytes()).hexdigest()[:12]}"


def choose(book: Playbook, brokers: str, plan: Plan, wanted: Iterable[str]) -> list[str]:
    """Every identifier that is connected with those who are wanted: identifiers as people write them, or
    customer ids. Reads the input once. Raises BadRange."""
    groups = Groups()
    for part, records in intake.records(brokers, plan, "who is who"):
        if part.topic in book.reference.values():
            continue
        for arrival in intake.arrivals(book, part, records):
            if arrival[3] == EVENT:
                groups.join(arrival[5])
    ids = {customer_id(book.scope, key): key for key in groups}
    missing, found = [], set()
    for one in wanted:
        known = [key for key in [ids.get(one, ""), *names_of(one, book)] if groups.of(key) >= 0]
        found |= {groups.of(key) for key in known}
        if not known:
            missing.append(one)
    if missing:
        raise BadRange(f"--customers: no event of the range is of {', '.join(missing[:10])}")
    return sorted(key for key in groups if groups.of(key) in found)


def read_lines(file: Path) -> list[str]:
    return [line.strip() for line in file.read_text().splitlines() if line.strip()]
