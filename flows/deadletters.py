"""Dead letters: which there are, and sending them again.

A letter is sent again as it came, to its topic and partition, with the header `oncue-replayed-from`. That it
was sent is noted on the scope's `control` topic in the same transaction, under a transactional id of its
own. So a letter is sent again once, whatever is killed in between: a later replay reads the notes after it
has fenced the one before. (The embedded broker knows no transactions: there a kill may lose a note.)
"""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from heapq import heappush, heappushpop
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import KafkaException, Producer

from flows import kafka, produce, tail
from flows.kafka import KafkaTrouble
from operators.playbook import Playbook
from schemas import topics
from schemas.mendable import Mendable
from schemas.outbound import DeadLetter

NOTE = "replayed:"  # and the place of the letter: the key of a note
FROM = "oncue-replayed-from"
TOGETHER = 200  # letters in a transaction: readers of their topics wait for it to end
TRANSACTION_MS = 10_000  # how long they wait at most when a replay is killed

Transform = Callable[[bytes, DeadLetter], bytes | None]
_letter = msgspec.json.Decoder(DeadLetter).decode


class Which(NamedTuple):
    """Which letters; what is empty is not asked for. `since`: ms, when they were written."""

    reason: str = ""
    stage: str = ""
    topic: str = ""
    place: tuple[str, ...] = ()
    since: int = 0

    def takes(self, letter: DeadLetter, at: int) -> bool:
        return (
            self.reason in ("", letter.reason)
            and self.stage in ("", letter.stage)
            and self.topic in ("", letter.topic)
            and (not self.place or place_of(letter) in self.place)
            and at >= self.since
        )


class Group(msgspec.Struct):
    """Letters with the same reason. `open`: not sent again yet. `newest` in ms."""

    topic: str
    stage: str
    reason: str
    open: int = 0
    replayed: int = 0
    newest: int = 0


class BadTransform(Mendable, ValueError):
    """The file of --transform cannot be used, or failed on a letter."""


def place_of(letter: DeadLetter) -> str:
    return f"{letter.topic}/{letter.partition}/{letter.offset}"


def find(
    book: Playbook, brokers: str, which: Which, most: int, with_replayed: bool = False
) -> tuple[list[Group], list[dict[str, Any]]]:
    """Letters counted by topic, stage and reason, and the newest `most` of them, newest first."""
    replayed = _replayed(book, brokers)
    groups: dict[tuple[str, str, str], Group] = {}
    newest: list[tuple[int, str, dict[str, Any]]] = []
    for letter, at in _letters(book, brokers, which):
        kind = (letter.topic, letter.stage, letter.reason)
        group = groups.setdefault(kind, Group(*kind))
        place = place_of(letter)
        done = place in replayed
        group.replayed += done
        group.open += not done
        group.newest = max(group.newest, at)
        if most and (with_replayed or not done):
            entry = (at, place, {"place": place, "at": at, "replayed": done, **_plain(letter)})
            (heappush if len(newest) < most else heappushpop)(newest, entry)
    found = sorted(groups.values(), key=lambda group: (-group.open, group.topic, group.stage, group.reason))
    return found, [entry for _, _, entry in sorted(newest, key=lambda it: it[:2], reverse=True)]


def replay(book: Playbook, brokers: str, which: Which, transform: Transform | None = None) -> tuple[int, int]:
    """Send the letters of events that were not sent again yet; how many were, and how many `transform` left
    out. A letter without a topic is about something else than an event and is not sent.

    Raises KafkaTrouble, BadTransform; then what was sent before is noted and the same call goes on.
    """
    producer = kafka.producer(
        brokers,
        **{
            "transactional.id": f"oncue-{book.scope}-replay",
            "transaction.timeout.ms": TRANSACTION_MS,
            "linger.ms": 5,
            "message.max.bytes": topics.LARGEST,
        },
    )
    try:
        kafka.open_transactions(producer, 30)
        done = _replayed(book, brokers)
        sent = left_out = 0
        letters = (letter for letter, _ in _letters(book, brokers, which, "replaying"))
        events = (letter for letter in letters if letter.topic and place_of(letter) not in done)
        for batch in _batches(events, TOGETHER):
            ready = [
                (letter, transform(letter.original, letter) if transform else letter.original)
                for letter in batch
            ]
            going = [(letter, raw) for letter, raw in ready if raw is not None]
            if going:
                _send(producer, book, going)
            sent += len(going)
            left_out += len(ready) - len(going)
    except KafkaException as error:
        with suppress(KafkaException):
            producer.abort_transaction(10)
        raise KafkaTrouble(
            f"the replay stopped: {error.args[0].str()}. What was sent is noted; the same command goes on, "
            "unless another replay of this scope is at work"
        ) from None
    return sent, left_out


def originals(book: Playbook, brokers: str) -> Iterator[DeadLetter]:
    """Every letter that is about an event."""
    return (letter for letter, _ in _letters(book, brokers, Which(), "reading dead letters") if letter.topic)


def load_transform(file: Path) -> Transform:
    """`transform(original: bytes, letter) -> bytes | None` of a Python file; None leaves the letter."""
    try:
        mend = runpy.run_path(str(file)).get("transform")
    except Exception as error:
        raise BadTransform(f"{file}: {type(error).__name__}: {error}") from None
    if not callable(mend):
        raise BadTransform(f"{file} has no function transform(original, letter)")

    def transform(original: bytes, letter: DeadLetter) -> bytes | None:
        try:
            mended = mend(original, letter)
        except Exception as error:
            raise BadTransform(f"{file} on {place_of(letter)}: {type(error).__name__}: {error}") from error
        if mended is not None and not isinstance(mended, bytes):
            raise BadTransform(
                f"{file} on {place_of(letter)}: gave {type(mended).__name__}, not bytes or None"
            )
        return mended

    return transform


def _letters(book: Playbook, brokers: str, which: Which, what: str = "") -> Iterator[tuple[DeadLetter, int]]:
    """Letters and when they were written (ms)."""
    name = topics.output(book.scope, topics.DEAD_LETTERS)
    for record in tail.history(brokers, [name], what):
        at = record.timestamp()[1]
        letter = None
        with suppress(msgspec.MsgspecError):  # not ours
            letter = _letter(record.value() or b"")
        if letter is not None and which.takes(letter, at):
            yield letter, at


def _replayed(book: Playbook, brokers: str) -> set[str]:
    """Places of the letters that were sent again."""
    control = topics.output(book.scope, topics.CONTROL)
    keys = ((record.key() or b"").decode(errors="replace") for record in tail.history(brokers, [control]))
    return {key.removeprefix(NOTE) for key in keys if key.startswith(NOTE)}


def _send(producer: Producer, book: Playbook, letters: list[tuple[DeadLetter, bytes]]) -> None:
    """One transaction: the originals and the notes about them."""
    control = topics.output(book.scope, topics.CONTROL)
    producer.begin_transaction()
    for letter, raw in letters:
        place = place_of(letter).encode()
        _, key = produce.moment(raw)
        producer.produce(letter.topic, raw, key or None, partition=letter.partition, headers=[(FROM, place)])
        producer.produce(control, b"{}", NOTE.encode() + place, partition=0)
    producer.commit_transaction(30)


def _batches(letters: Iterable[DeadLetter], size: int) -> Iterator[list[DeadLetter]]:
    batch: list[DeadLetter] = []
    for letter in letters:
        batch.append(letter)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _plain(letter: DeadLetter) -> dict[str, Any]:
    """The letter for JSON: its original as text where it is text, else in base64."""
    found: dict[str, Any] = msgspec.to_builtins(letter)
    with suppress(UnicodeDecodeError):
        found["original_text"] = letter.original.decode()
        del found["original"]
    return found
