"""A rehearsal in words, the same at the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from operators.regrouping import Person, Regrouping
from operators.rehearsal import APPEARED, DISAPPEARED, MOVED, REASON, Change, Counts, Report, Side
from schemas import durations

COLUMNS = ("old", "new", "same", "moved", "appeared", "disappeared")
TITLES = {
    APPEARED: "triggers that would have appeared",
    DISAPPEARED: "triggers that would have disappeared",
    MOVED: "triggers at another time",
    REASON: "held back for another reason",
}


def span(report: Report) -> str:
    return f"{report.events:,} records from {report.begin} to {report.end}"


def summary(report: Report) -> Iterator[str]:
    """What matters, line by line."""
    if not report.differs:
        yield "No differences: the same customers, triggers and reasons."
        return
    total, people = report.total, report.people
    yield (
        f"Triggers: {total.old:,} before, {total.new:,} now; {total.appeared:,} appeared, "
        f"{total.disappeared:,} disappeared, {total.moved:,} at another time."
    )
    groups = (
        f"{_many(people.merged, 'group')} merged into one, {_many(people.split, 'customer')} split, "
        f"{_many(people.regrouped, 'group')} made up differently"
    )
    unknown = (
        f"; {people.gone:,} gone, {people.appeared:,} appeared" if people.gone or people.appeared else ""
    )
    yield f"Customers: {people.old:,} before, {people.new:,} now; {groups}{unknown}."
    if report.settings:
        yield f"Beside the triggers the playbooks differ in: {', '.join(report.settings)}."
    if total.appeared or total.disappeared:
        yield (
            "What was still under way at the end of the range is decided in neither run: there a longer wait "
            "looks like a trigger that disappeared."
        )
    rules = report.compared.rules.items()
    hit = [name for name, row in rules if row.written == "same" and _differs(row.triggers)]
    if hit:
        yield f"Not changed themselves, but hit by what was changed: {', '.join(hit)}."


def cells(row: Counts) -> list[str]:
    return [f"{getattr(row, name):,}" for name in COLUMNS]


def grouping(it: Regrouping) -> str:
    """
    >>> grouping(Regrouping("split", [Person("c-1", ["email:a", "user_id:b"])], [Person("c-1", ["email:a"]),
    ...     Person("c-2", ["user_id:b"], 3)]))
    'c-1 (email:a, user_id:b) -> c-1 (email:a) | c-2 (user_id:b and 3 more)'
    """
    return " -> ".join(" | ".join(map(_person, side)) for side in (it.old, it.new))


def change(one: Change) -> str:
    """One difference on a line."""
    old, new = one.old, one.new
    key = f" {one.key}" if one.key else ""
    if one.what == MOVED and old is not None and new is not None:
        later = new.at - old.at
        by = f"{durations.say(abs(later))} {'later' if later > 0 else 'earlier'}"
        because = "" if old.cause == new.cause else ", because of another event"
        return f"{moment(old.at)}  {one.rule}{key} of {_who(old)}: {by}{because}"
    if one.what == REASON and old is not None and new is not None:
        return f"{moment(old.at)}  {one.rule}{key} of {_who(old)}: {old.why}, now {new.why}"
    sent, other = (new, old) if one.what == APPEARED else (old, new)
    assert sent is not None
    when = "before" if one.what == APPEARED else "now"
    instead = f"held back {when}: {other.why}" if other is not None else f"no reason to act {when}"
    return f"{moment(sent.at)}  {one.rule}{key} of {_who(sent)}: {sent.why}; {instead}"


def moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _differs(row: Counts) -> bool:
    return bool(row.moved or row.appeared or row.disappeared)


def _who(side: Side) -> str:
    known = f" ({', '.join(side.known_as)})" if side.known_as else ""
    return f"{side.customer}{known}"


def _person(it: Person) -> str:
    more = f" and {it.more} more" if it.more else ""
    return f"{it.customer} ({', '.join(it.identifiers)}{more})"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
