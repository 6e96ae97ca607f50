"""Records kept in files, given out as a Kafka consumer would give them.

JSON lines (`.jsonl`, also `.jsonl.gz`): an event a line; or an object with `value` (the event, or its text)
and, as far as they are known, `offset`, `timestamp` (ms, when the broker got it) and `key`. Parquet: a row
an event, columns of the same names; needs pyarrow (pip install 'pyarrow>=17').

Without offsets the records of a partition are numbered from 0, over all its files.
"""

from __future__ import annotations

import gzip
import re
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import KafkaError, TopicPartition

from flows.kafka import Place
from flows.plan import Part
from operators.headers import LAST, milliseconds
from operators.playbook import Playbook
from schemas.mendable import Mendable

TOGETHER = 500  # records from one file before the next has its turn
_NAMED = re.compile(r"([\w-]+)(?:/(\d+))?=(.+)")
_END = KafkaError(KafkaError._PARTITION_EOF)


class BadArchive(Mendable, ValueError):
    """A file that cannot be replayed."""


class _Line(msgspec.Struct):
    value: msgspec.Raw
    offset: int | None = None
    timestamp: int | None = None
    key: str | None = None


class Row(NamedTuple):
    """What a file says of one record. `timestamp` in ms."""

    offset: int | None
    timestamp: int | None
    key: bytes | None
    value: bytes | None


class Archived:
    """One record, with the methods of `confluent_kafka.Message` that are used."""

    __slots__ = ("_arrived", "_at", "_error", "_place", "_row")

    def __init__(
        self, place: Place, at: int, arrived: int, row: Row | None, error: KafkaError | None = None
    ) -> None:
        self._place, self._at, self._arrived, self._row, self._error = place, at, arrived, row, error

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._at

    def timestamp(self) -> tuple[int, int]:
        return 1, self._arrived

    def key(self) -> bytes | None:
        return None if self._row is None else self._row.key

    def value(self) -> bytes | None:
        return None if self._row is None else self._row.value

    def headers(self) -> None:
        return None

    def error(self) -> KafkaError | None:
        return self._error


class Archive:
    """The consumer of the parts of a plan that have files."""

    def __init__(self, book: Playbook, parts: Iterable[Part]) -> None:
        self._parts = {(part.topic, part.partition): part for part in parts}
        self._reference = set(book.reference.values())
        self._open: dict[Place, Iterator[Archived]] = {}
        self._paused: set[Place] = set()
        self._turn: deque[Place] = deque()

    def assign(self, places: list[TopicPartition]) -> None:
        for it in places:
            place = it.topic, it.partition
            part = self._parts[place]
            self._open[place] = records(part, it.offset, place[0] in self._reference)
        self._turn = deque(self._open)

    def consume(self, most: int, wait: float = 0) -> list[Archived]:
        """Up to `most`, from one file after the other; never waits."""
        found: list[Archived] = []
        for _ in range(len(self._turn)):
            place = self._turn[0]
            self._turn.rotate(-1)
            if place in self._paused or place not in self._open:
                continue
            mine = list(islice(self._open[place], min(TOGETHER, most - len(found))))
            if not mine:
                del self._open[place]
                mine = [Archived(place, self._parts[place].end, 0, None, _END)]
            found += mine
            if len(found) >= most:
                break
        return found

    def pause(self, places: list[TopicPartition]) -> None:
        self._paused |= {(it.topic, it.partition) for it in places}

    def resume(self, places: list[TopicPartition]) -> None:
        self._paused -= {(it.topic, it.partition) for it in places}

    def get_watermark_offsets(
        self, place: TopicPartition, timeout: float = 0, cached: bool = False
    ) -> tuple[int, int]:
        part = self._parts[place.topic, place.partition]
        return part.start, part.end

    def close(self) -> None:
        self._open.clear()


def records(part: Part, start: int, reference: bool) -> Iterator[Archived]:
    """The records of a part from offset `start` on. One that says not when it came counts as come when it
    happened; reference data as come late."""
    place = part.topic, part.partition
    unknown = LAST if reference else 0
    for at, row in _numbered(part.files):
        if at >= start:
            yield Archived(place, at, unknown if row.timestamp is None else row.timestamp, row)


def parts(book: Playbook, named: Iterable[str]) -> list[Part]:
    """What SOURCE=FILE and SOURCE/PARTITION=FILE amount to; each file is read once to see that it can be.

    Raises BadArchive, OSError.
    """
    known = {**book.reference, **book.topics}
    files: dict[Place, list[str]] = {}
    for text in named:
        found = _NAMED.fullmatch(text)
        if found is None or found[1] not in known:
            raise BadArchive(
                f"--archive {text!r}: write SOURCE=FILE or SOURCE/PARTITION=FILE, where SOURCE is one of "
                + ", ".join(known)
            )
        topic = known[found[1]]
        free = 1 + max((p for t, p in files if t == topic), default=-1)
        place = topic, int(found[2]) if found[2] else free
        files.setdefault(place, []).append(found[3])
    order = {topic: number for number, topic in enumerate(book.inputs)}
    made = []
    for place in sorted(files, key=lambda it: (order[it[0]], it[1])):
        first, last = -1, -1
        for at, _ in _numbered(files[place]):
            if at <= last:
                raise BadArchive(
                    f"{', '.join(files[place])}: offset {at} comes after {last}; the files of a partition "
                    "must be in the order of its offsets"
                )
            first, last = at if first < 0 else first, at
        made.append(Part(*place, max(first, 0), last + 1, files[place]))
    return made


def _numbered(files: Iterable[str]) -> Iterator[tuple[int, Row]]:
    number = 0
    for file in files:
        for row in _rows(Path(file)):
            number = number if row.offset is None else row.offset
            yield number, row
            number += 1


def _rows(file: Path) -> Iterator[Row]:
    if file.suffix == ".parquet":
        return _parquet(file)
    name = file.name.removesuffix(".gz")
    if not name.endswith((".jsonl", ".ndjson")):
        raise BadArchive(f"{file}: what kind of file? Known are .jsonl, .ndjson, both also .gz, and .parquet")
    return _lines(file)


def _lines(file: Path) -> Iterator[Row]:
    decode = msgspec.json.Decoder(_Line).decode
    wrapped: bool | None = None
    with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as lines:
        try:
            for number, line in enumerate(lines, 1):
                line = line.strip()
                if not line:
                    continue
                if wrapped is None:
                    wrapped = _is_wrapped(line)
                if not wrapped:
                    yield Row(None, None, None, line)
                    continue
                try:
                    it = decode(line)
                    text = bytes(it.value)
                    value = None if text == b"null" else text
                    if text[:1] == b'"':
                        value = msgspec.json.decode(text, type=str).encode()
                except msgspec.MsgspecError as error:
                    raise BadArchive(f"{file}:{number}: {error}") from None
                yield Row(it.offset, it.timestamp, None if it.key is None else it.key.encode(), value)
        except (gzip.BadGzipFile, EOFError) as error:
            raise BadArchive(f"{file} is not whole: {error}") from None


def _is_wrapped(line: bytes) -> bool:
    try:
        first = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return False
    return isinstance(first, dict) and "value" in first and "type" not in first


def _parquet(file: Path) -> Iterator[Row]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise BadArchive(
            f"{file}: reading Parquet needs pyarrow. Install it with: pip install 'pyarrow>=17'"
        ) from None
    try:
        opened = parquet.ParquetFile(file)
    except Exception as error:  # pyarrow has many
        raise BadArchive(f"{file}: {error}") from None
    names = set(opened.schema_arrow.names)
    if "value" not in names:
        raise BadArchive(f"{file} has no column `value`; it has {', '.join(sorted(names))}")
    columns = [name for name in ("value", "offset", "timestamp", "key") if name in names]
    for batch in opened.iter_batches(2000, columns=columns):
        for row in batch.to_pylist():
            yield Row(
                row.get("offset"), _ms(row.get("timestamp")), _bytes(row.get("key")), _bytes(row["value"])
            )


def _bytes(found: Any) -> bytes | None:
    return found.encode() if isinstance(found, str) else found


def _ms(found: Any) -> int | None:
    return milliseconds(found) if isinstance(found, datetime) else found
