"""`oncue models`: what the learning flow has published, and an operator's say in it."""

from __future__ import annotations

import msgspec

from flows import kafka, tail
from flows.kafka import SOON, KafkaTrouble
from operators.churn import published
from operators.churn.published import Incompatible
from schemas import topics
from schemas.churn import COMMAND, Command, Metrics, Model


def named(key: bytes | None) -> tuple[str, int]:
    """Subject and version that the key of a model or a report says.

    >>> named(b"churn/12"), named(b"who knows")
    (('churn', 12), ('', 0))
    """
    subject, _, number = (key or b"").decode(errors="replace").rpartition("/")
    return (subject, int(number)) if number.isdigit() else ("", 0)


def kept(scope: str, subject: str, brokers: str) -> list[Model]:
    """The published models that can still be rolled back to, oldest first; the last one serves."""
    found: dict[int, Model] = {}
    for record in tail.history(brokers, [topics.learning(scope, "models")], partitions=[0]):
        (whose, number), value = named(record.key()), record.value()
        if whose != subject:
            continue
        found.pop(number, None)
        if value:
            try:
                found[number] = published.read(value)
            except Incompatible:
                continue  # of a newer program: not ours to roll back to
    return [found[number] for number in sorted(found)]


def chosen(scope: str, subject: str, brokers: str, version: int | None) -> Model:
    """The model `version`, or the one that serves. Raises KafkaTrouble when there is none."""
    there = kept(scope, subject, brokers)
    for model in reversed(there):
        if version is None or model.version == version:
            return model
    if version is None:
        raise KafkaTrouble(f"{topics.learning(scope, 'models')} has no {subject} model yet; the rule serves")
    versions = ", ".join(str(model.version) for model in there) or "none"
    raise KafkaTrouble(f"there is no {subject} model {version}; kept are {versions}")


def reports(scope: str, subject: str, brokers: str) -> list[Metrics]:
    """How the learning flow did, oldest first. Raises KafkaTrouble when it has not said anything yet."""
    topic = topics.learning(scope, "model-metrics")
    try:
        found = [
            msgspec.json.decode(record.value(), type=Metrics)
            for record in tail.history(brokers, [topic], partitions=[0])
            if named(record.key())[0] == subject
        ]
    except msgspec.MsgspecError as error:
        raise KafkaTrouble(f"{topic} holds what this program cannot read: {error}") from None
    if not found:
        raise KafkaTrouble(
            f"{topic} has no report about {subject} yet: `oncue learn` writes one about each step in time"
        )
    return found


def send(scope: str, subject: str, brokers: str, command: Command) -> None:
    """Give the learning flow a command; it takes effect among the examples where it arrives."""
    topic = topics.examples(scope, subject)
    producer = kafka.producer(brokers)
    kafka.partitions(producer, [topic], brokers)
    producer.produce(topic, msgspec.json.encode(command), COMMAND, partition=0)
    if producer.flush(SOON):
        raise KafkaTrouble(f"{topic} did not take the command within {SOON:.0f} s")
