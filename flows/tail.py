"""Watching an output topic, committed records only."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import orjson
from confluent_kafka import Consumer, TopicPartition

from flows import kafka
from flows.kafka import KafkaTrouble, Place
from flows.metadata import waking
from flows.progress import Progress


def follow(
    brokers: str, names: list[str], begin: bool = True, until_end: bool = False
) -> Iterator[dict[str, Any]]:
    """Records of the topics as they come: topic, key, attributes (headers), body (decoded JSON).

    From the oldest kept (`begin`) or from now on; for ever, or once up to the end. An idle moment
    yields an empty dict, so that the caller can do something else.
    """
    if until_end:
        yield from map(show, history(brokers, names))
        return
    settings = {"auto.offset.reset": "earliest", **waking(brokers)}
    client = kafka.consumer(brokers, "oncue-tail", **settings)
    try:
        starts = {
            place: kafka.bounds(client, place)[0 if begin else 1] for place in _places(client, names, brokers)
        }
        client.assign([TopicPartition(*place, at) for place, at in starts.items()])
        while True:
            records = _take(client)
            yield from map(show, records) if records else ({},)
    finally:
        client.close()


def history(
    brokers: str,
    names: list[str],
    what: str = "",
    newest: int | None = None,
    partitions: Collection[int] | None = None,
) -> Iterator[kafka.Record]:
    """The committed records of the topics up to where they end now, with progress shown as `what`. `newest`:
    only about so many of each partition; `partitions`: only of these."""
    client = kafka.consumer(brokers, "oncue-tail", **{"auto.offset.reset": "earliest"})
    try:
        bounds = {
            place: kafka.bounds(client, place)
            for place in _places(client, names, brokers)
            if partitions is None or place[1] in partitions
        }
        starts = {
            place: low if newest is None else max(low, high - newest) for place, (low, high) in bounds.items()
        }
        total = sum(high - starts[place] for place, (_, high) in bounds.items())
        with Progress(what or f"reading {', '.join(names)}", total) as progress:
            for record in _records(client, starts, {place: high for place, (_, high) in bounds.items()}):
                progress.advance()
                yield record
    finally:
        client.close()


def values(brokers: str, name: str) -> Iterator[bytes]:
    """The bare values of a topic, up to its end."""
    for record in history(brokers, [name]):
        yield record.value() or b""


def show(record: kafka.Record) -> dict[str, Any]:
    """A record as a plain dict."""
    value = record.value() or b""
    try:
        body = orjson.loads(value)
    except orjson.JSONDecodeError:
        body = f"{len(value)} bytes"
    return {
        "topic": record.topic(),
        "key": (record.key() or b"").decode(errors="replace"),
        "attributes": {name: (text or b"").decode() for name, text in record.headers() or []},
        "body": body,
    }


def _places(client: Consumer, names: list[str], brokers: str) -> list[Place]:
    return [
        (name, p) for name, count in kafka.partitions(client, names, brokers).items() for p in range(count)
    ]


def _records(client: Consumer, starts: dict[Place, int], ends: dict[Place, int]) -> Iterator[kafka.Record]:
    """Everything from `starts` up to `ends`, which transactions may keep from ever being delivered."""
    waiting = {place for place, at in starts.items() if at < ends[place]}
    client.assign([TopicPartition(*place, starts[place]) for place in waiting])
    while waiting:
        for record in kafka.take(client, 500, 0.1):
            place = (record.topic(), record.partition())
            error = record.error()
            if error is None:
                if record.offset() < ends[place]:
                    yield record
                if record.offset() + 1 >= ends[place]:
                    waiting.discard(place)
            elif kafka.is_end(error):
                waiting.discard(place)
            elif not kafka.passing(error):
                raise KafkaTrouble(f"cannot read {record.topic()}: {error.str()}")


def _take(client: Consumer) -> list[kafka.Record]:
    """What has come; partition events are none of it."""
    records = []
    for record in kafka.take(client, 500, 0.1):
        error = record.error()
        if error is None:
            records.append(record)
        elif not kafka.is_end(error) and not kafka.passing(error):
            raise KafkaTrouble(f"cannot read {record.topic()}: {error.str()}")
    return records
