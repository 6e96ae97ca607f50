"""`oncue models`: what the learning flow has published, and an operator's say in it."""

from __future__ import annotations

import msgspec

from flows import kafka, tail
from flows.kafka import SOON, KafkaTrouble
from operators.churn import published
from operators.churn.published import Incompatible
from schemas import topics
from schemas.churn import COMMAND, Command, Metrics, Model


def kept(scope: str, brokers: str) -> list[Model]:
    """The published models that can still be rolled back to, oldest first; the last one serves."""
    found: dict[int, Model] = {}
    for record in tail.history(brokers, [topics.learning(scope, "models")], partitions=[0]):
        number, value = int((record.key() or b"").rpartition(b"/")[2] or 0), record.value()
        found.pop(number, None)
        if value:
            try:
                found[number] = published.read(value)
            except Incompatible:
                continue  # of a newer program: not ours to roll back to
    return [found[number] for number in sorted(found)]


def chosen(scope: str, brokers: str, version: int | None) -> Model:
    """The model `version`, or the one that serves. Raises KafkaTrouble when there is none."""
    there = kept(scope, brokers)
    for model in reversed(there):
        if version is None or model.version == version:
            return model
    if version is None:
        raise KafkaTrouble(f"{topics.learning(scope, 'models')} has no model yet; the rule serves")
    versions = ", ".join(str(model.version) for model in there) or "none"
    raise KafkaTrouble(f"there is no model {version}; kept are {versions}")


def reports(scope: str, brokers: str) -> list[Metrics]:
    """How the learning flow did, oldest first. Raises KafkaTrouble when it has not said anything yet."""
    topic = topics.learning(scope, "model-metrics")
    try:
        found = [
            msgspec.json.decode(record.value(), type=Metrics)
            for record in tail.history(brokers, [topic], partitions=[0])
        ]
    except msgspec.MsgspecError as error:
        raise KafkaTrouble(f"{topic} holds what this program cannot read: {error}") from None
    if not found:
        raise KafkaTrouble(f"{topic} has no report yet: `oncue learn` writes one about each step in time")
    return found


def send(scope: str, brokers: str, command: Command) -> None:
    """Give the learning flow a command; it takes effect among the examples where it arrives."""
    topic = topics.learning(scope, "churn-examples")
    producer = kafka.producer(brokers)
    kafka.partitions(producer, [topic], brokers)
    producer.produce(topic, msgspec.json.encode(command), COMMAND, partition=0)
    if producer.flush(SOON):
        raise KafkaTrouble(f"{topic} did not take the command within {SOON:.0f} s")
