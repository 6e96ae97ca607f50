"""Which part of the input a replay is about: `--from` and `--to` as people write them, made into offsets."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition

from flows import kafka, metadata, recorded
from flows.kafka import SOON, KafkaTrouble, Place
from flows.plan import LIVE, Cuts, Part
from flows.recorded import Survey
from operators.playbook import Playbook
from schemas import topics
from schemas.mendable import Mendable

BEGINNING, NOW = "beginning", "now"
FORMS = (
    "a time such as 2026-03-01T00:00Z (when the broker got the records), cut:N, offsets such as "
    "shop.web/0:1200,shop.web/1:900, or @FILE with such offsets as JSON"
)
_OFFSET = re.compile(r"([\w.-]+)/(\d+):(\d+)")


class BadRange(Mendable, ValueError):
    """What was written for --from or --to cannot be used."""


class Bound(NamedTuple):
    """One end of a range: a moment (ms), the number of a cut, offsets by partition, or none of them."""

    moment: int | None = None
    cut: int | None = None
    offsets: dict[Place, int] | None = None


def parse(option: str, text: str) -> Bound:
    """
    >>> parse("--to", "cut:12").cut
    12
    >>> parse("--from", "1970-01-01T00:01Z").moment
    60000
    >>> parse("--from", "shop.web/0:5,shop.web/1:7").offsets
    {('shop.web', 0): 5, ('shop.web', 1): 7}
    """
    if text == (NOW if option == "--to" else BEGINNING):
        return Bound()
    if text.startswith("@"):
        return Bound(offsets=_from_file(option, Path(text[1:])))
    if re.fullmatch(r"cut:\d+", text):
        return Bound(cut=int(text[4:]))
    parts = [_OFFSET.fullmatch(one.strip()) for one in text.split(",")]
    if all(parts):
        return Bound(offsets={(it[1], int(it[2])): int(it[3]) for it in parts if it is not None})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        word = NOW if option == "--to" else BEGINNING
        raise BadRange(f"{option} {text!r} is none of: {word}, {FORMS}") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return Bound(moment=round(at.timestamp() * 1000))


def resolve(
    book: Playbook, brokers: str, order: str, begin: Bound, end: Bound
) -> tuple[list[Part], Cuts | None, Survey | None]:
    """The parts of the input, and for the live order its cuts. Raises KafkaTrouble, BadRange.

    Reference data is read from its beginning unless offsets are given: what a price was when the range
    begins was said before.
    """
    client = kafka.consumer(brokers, "oncue-replay")
    try:
        counts = kafka.partitions(client, book.inputs, brokers)
        places = [(topic, p) for topic in book.inputs for p in range(counts[topic])]
        bounds = {place: kafka.bounds(client, place) for place in places}
        for option, bound in (("--from", begin), ("--to", end)):
            unknown = sorted((bound.offsets or {}).keys() - set(places))
            if unknown:
                names = ", ".join(map(kafka.show, unknown))
                there = ", ".join(f"{topic} ({counts[topic]})" for topic in book.inputs)
                raise BadRange(
                    f"{option} names {names}. The playbook reads, with so many partitions: {there}"
                )
        if metadata.is_embedded(brokers) and not (begin.moment is None is end.moment):
            raise BadRange(
                "the embedded broker does not know when it got which record: give --from and --to as offsets "
                "or as cut:N"
            )
        if order == LIVE:
            return _live(book, brokers, client, places, bounds, begin, end)
        starts = _offsets(book, brokers, client, places, begin, {it: low for it, (low, _) in bounds.items()})
        ends = _offsets(book, brokers, client, places, end, {it: high for it, (_, high) in bounds.items()})
    finally:
        client.close()
    if begin.offsets is None:
        reference = set(book.reference.values())
        starts |= {place: bounds[place][0] for place in places if place[0] in reference}
    return _parts(places, starts, ends, bounds), None, None


def _live(
    book: Playbook,
    brokers: str,
    client: Consumer,
    places: list[Place],
    bounds: dict[Place, tuple[int, int]],
    begin: Bound,
    end: Bound,
) -> tuple[list[Part], Cuts | None, Survey | None]:
    if begin.offsets or end.offsets:
        raise BadRange("--order live repeats whole cuts: give --from and --to as times or as cut:N")
    order = topics.order(book.scope)
    kafka.partitions(client, [order], brokers)
    low = _at(client, [(order, 0)], begin.moment)[order, 0] if begin.moment is not None else 0
    high = _at(client, [(order, 0)], end.moment)[order, 0] if end.moment is not None else 1 << 62
    found = recorded.survey(brokers, order, begin.cut, end.cut, (low, high))
    if not found.last:
        raise KafkaTrouble(f"{order} holds no cuts of that range; did a live run ever work on it?")
    if end.cut is not None and found.last < end.cut:
        raise BadRange(f"--to cut:{end.cut}: {order} ends with cut {found.last}")
    mine = [place for place in places if place in found.ends]
    return _parts(mine, found.starts, found.ends, bounds), found.cuts, found


def _offsets(
    book: Playbook,
    brokers: str,
    client: Consumer,
    places: list[Place],
    bound: Bound,
    default: dict[Place, int],
) -> dict[Place, int]:
    if bound.moment is not None:
        return _at(client, places, bound.moment)
    if bound.cut is not None:
        found = recorded.survey(brokers, topics.order(book.scope), None, bound.cut, (0, 1 << 62))
        if found.last < bound.cut:
            raise BadRange(f"cut:{bound.cut}: {topics.order(book.scope)} ends with cut {found.last}")
        return default | {place: at for place, at in found.ends.items() if place in default}
    return default | (bound.offsets or {})


def _at(client: Consumer, places: list[Place], moment: int | None) -> dict[Place, int]:
    """The first offset in each partition of a record that the broker got at `moment` (ms) or later."""
    assert moment is not None
    try:
        found = client.offsets_for_times([TopicPartition(*place, moment) for place in places], timeout=SOON)
    except KafkaException as error:
        raise KafkaTrouble(
            f"the broker does not say which records came when: {error.args[0].str()}. Give offsets instead"
        ) from None
    return {
        (it.topic, it.partition): it.offset
        if it.offset >= 0
        else kafka.bounds(client, (it.topic, it.partition))[1]
        for it in found
    }


def _parts(
    places: list[Place],
    starts: dict[Place, int],
    ends: dict[Place, int],
    bounds: dict[Place, tuple[int, int]],
) -> list[Part]:
    wrong = []
    for place in places:
        low, high = bounds[place]
        name = kafka.show(place)
        if starts[place] < low:
            wrong.append(
                f"{name} begins at {low}, not at {starts[place]}: its retention has removed the rest"
            )
        elif ends[place] > high:
            wrong.append(f"{name} ends at {high}, before {ends[place]}")
    if wrong:
        raise BadRange("the range is not there: " + "; ".join(wrong))
    return [Part(*place, starts[place], max(starts[place], ends[place])) for place in places]


def _from_file(option: str, file: Path) -> dict[Place, int]:
    try:
        found = msgspec.json.decode(file.read_bytes(), type=dict[str, int])
    except msgspec.MsgspecError as error:
        raise BadRange(f'{option}: {file} is not like {{"shop.web/0": 1200}}: {error}') from None
    offsets = {}
    for name, offset in found.items():
        topic, _, partition = name.rpartition("/")
        if not topic or not partition.isdigit():
            raise BadRange(f"{option}: {file}: {name!r} is not topic/partition")
        offsets[topic, int(partition)] = offset
    return offsets
