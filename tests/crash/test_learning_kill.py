"""kill -9 of the learning flow: what is published is what an uninterrupted learner publishes, once."""

import random
import subprocess
from contextlib import suppress
from pathlib import Path

import msgspec
from confluent_kafka import Producer

from flows import learning
from flows import topics as making
from operators import playbook
from operators.churn.learner import Learner
from schemas.churn import COMMAND, Command, Example
from tests.brokers import RealBroker
from tests.flows.running import Scope, committed
from tests.operators.churn.people import examples, shop
from tests.program import PATIENCE, Program, until

CHURN = """
churn:
  on: [Order Completed]
  value: properties.total
  horizon: 30d
  contestants: [recursive, logistic, tree]
"""
KILLS = 3
Record = Example | Command


def told() -> list[Record]:
    """Examples, and among them what an operator says."""
    records: list[Record] = [*examples(shop(110, 200))]
    records.insert(len(records) // 2, Command("promote", contestant="tree"))
    records.insert(len(records) // 3, Command("promote", contestant="logistic"))
    return records


def uninterrupted(scope: Scope, records: list[Record]) -> dict[str, list[tuple[str, bytes]]]:
    """By topic, what comes of the records in one go: (key, value)."""
    churning = playbook.load(scope.config.read_text()).foretold["churn"]
    learner = Learner(learning.course(churning))
    found: dict[str, list[tuple[str, bytes]]] = {"models": [], "model-metrics": []}
    for offset, record in enumerate(records):
        for output in learner.apply(offset, record):
            out = learning.record("churn", output, scope.name)
            found[out.topic.removeprefix(f"{scope.name}.")].append((out.key, out.value or b""))
    return found


def published(scope: Scope, before: int) -> int:
    """Where the models end, as soon as that is beyond `before`."""
    until(lambda: scope.size("models") > before, f"more than {before} records of models")
    return scope.size("models")


def survive(run: Program, seconds: float) -> None:
    """Let it run so long; a random moment, before or after a snapshot."""
    with suppress(subprocess.TimeoutExpired):
        run.process.wait(seconds)
        raise AssertionError(f"it ended by itself: {run.said}")


def test_a_learner_killed_again_and_again_publishes_the_same_models_and_each_once(
    kafka: RealBroker, scope: str, tmp_path: Path
) -> None:
    it = Scope(kafka, scope, tmp_path)
    it.config.write_text(it.config.read_text() + CHURN)
    making.create(playbook.load(it.config.read_text()), kafka.bootstrap)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True, "log_level": 0})
    records = told()
    dice = random.Random(5)

    def tell(start: int, end: int) -> None:
        for record in records[start:end]:
            key = COMMAND if isinstance(record, Command) else record.customer.encode()
            producer.produce(it.topic("churn-examples"), msgspec.json.encode(record), key, partition=0)
        assert producer.flush(PATIENCE) == 0

    def learn(*more: str) -> Program:
        return it.oncue(
            "learn", "--config", it.config, "--brokers", kafka.bootstrap, "--state", it.state, *more
        )

    try:
        share = len(records) // (KILLS + 1)
        there = 0
        for kill in range(KILLS):
            tell(kill * share, (kill + 1) * share)
            run = learn()
            there = published(it, there)
            survive(run, dice.uniform(0, 3))
            run.kill()
        tell(KILLS * share, len(records))
        last = learn("--once")
        assert last.wait() == 0, last.said
    finally:
        it.close()
    for name, expected in uninterrupted(it, records).items():
        there = [(one.key, one.raw) for one in committed(kafka, it.topic(name))]
        assert len(there) > 15, "too few to prove anything"
        assert there == expected, name
