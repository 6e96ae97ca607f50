"""Watching an output topic, committed records only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from confluent_kafka import TopicPartition

from flows import kafka
from flows.kafka import KafkaTrouble


def follow(
    brokers: str, names: list[str], begin: bool = True, until_end: bool = False
) -> Iterator[dict[str, Any]]:
    """Records of the topics as they come: topic, key, attributes (headers), body (decoded JSON).

    From the oldest kept (`begin`) or from now on; for ever, or once up to the end. An idle moment
    yields an empty dict, so that the caller can do something else.
    """
    for record in _records(brokers, names, begin, until_end):
        yield {} if record is None else show(record)


def values(brokers: str, name: str) -> Iterator[bytes]:
    """The bare values of a topic, up to its end."""
    for record in _records(brokers, [name], True, True):
        if record is not None:
            yield record.value() or b""


def _records(brokers: str, names: list[str], begin: bool, until_end: bool) -> Iterator[kafka.Record | None]:
    client = kafka.consumer(brokers, "oncue-tail", **{"auto.offset.reset": "earliest"})
    try:
        places = [
            (n, p) for n, count in kafka.partitions(client, names, brokers).items() for p in range(count)
        ]
        bounds = {place: kafka.bounds(client, place) for place in places}
        client.assign([TopicPartition(*place, bounds[place][0 if begin else 1]) for place in places])
        open_places = set(places)
        while open_places:
            records = kafka.take(client, 500, 0.1)
            if not records:
                yield None
            for record in records:
                error = record.error()
                if error is None:
                    yield record
                elif kafka.is_end(error):
                    if until_end:
                        open_places.discard((record.topic(), record.partition()))
                elif not kafka.passing(error):
                    raise KafkaTrouble(f"cannot read {record.topic()}: {error.str()}")
    finally:
        client.close()


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
