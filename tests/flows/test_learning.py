"""The learning flow as its users run it: examples in, models out, the same again after a stop."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from flows import topics as making
from operators import playbook
from operators.churn import published
from schemas.churn import Metrics
from tests.brokers import EmbeddedBroker
from tests.flows.running import Record, Scope, committed
from tests.operators.churn.people import examples, shop

Maker = Callable[..., Scope]

CHURN = """
churn:
  on: [Order Completed]
  value: properties.total
  horizon: 30d
  contestants: [recursive, logistic]
"""


@pytest.fixture
def learning(scoped: Maker, mock: EmbeddedBroker) -> Scope:
    scope = scoped(mock, topics=False)
    scope.config.write_text(scope.config.read_text() + CHURN)
    making.create(playbook.load(scope.config.read_text()), mock.bootstrap)
    return scope


def tell(scope: Scope, start: int, end: int) -> None:
    producer = Producer({"bootstrap.servers": scope.broker.bootstrap, "log_level": 0})
    for example in examples(shop(60, 150))[start:end]:
        producer.produce(
            scope.topic("churn-examples"), msgspec.json.encode(example), example.customer, partition=0
        )
    assert producer.flush(20) == 0


def learn(scope: Scope, state: Path | None = None, code: int = 0) -> str:
    return scope.ask(
        "learn", "--config", scope.config, "--brokers", scope.broker.bootstrap, "--state",
        state or scope.state, "--once", code=code,
    )  # fmt: skip


def ask(scope: Scope, *words: object, code: int = 0) -> str:
    command, *rest = words
    return scope.ask(
        "models", command, "--config", scope.config, "--brokers", scope.broker.bootstrap, *rest, code=code
    )


def models(scope: Scope) -> list[Record]:
    return committed(scope.broker, scope.topic("models"))


def test_a_learner_that_was_stopped_goes_on_and_publishes_what_it_would_have_published(
    learning: Scope, tmp_path: Path
) -> None:
    tell(learning, 0, 400)
    learn(learning)
    before = models(learning)
    assert before
    assert published.read(before[-1].raw).contestant == "recursive"
    learn(learning)
    assert models(learning) == before, "nothing new, nothing published"
    tell(learning, 400, 600)
    learn(learning)
    stopped = [record.raw for record in models(learning)]
    assert len(stopped) > len(before)
    learn(learning, tmp_path / "anew")
    assert [record.raw for record in models(learning)][len(stopped) :] == stopped
    metrics = committed(learning.broker, learning.topic("model-metrics"))
    assert msgspec.json.decode(metrics[-1].raw, type=Metrics).champion == "recursive"


def test_an_operator_lists_shows_promotes_and_rolls_back(learning: Scope) -> None:
    said = ask(learning, "show", code=2)
    assert "no model yet; the rule serves" in said
    tell(learning, 0, 400)
    learn(learning)
    versions = [int(line.split("\t")[0]) for line in ask(learning, "list").splitlines()]
    assert versions == sorted(versions)
    assert f'"version": {versions[-1]}' in ask(learning, "show")
    assert "kept are" in ask(learning, "rollback", 7, code=2)
    assert "takes no part; these do: recursive, logistic, rule" in ask(learning, "promote", "oak", code=2)
    ask(learning, "promote", "logistic")
    ask(learning, "rollback", versions[0])
    learn(learning)
    promoted, back = [line.split("\t") for line in ask(learning, "list").splitlines()][-2:]
    assert promoted[1] == "logistic"
    assert back[-1] == f"an operator rolled back to version {versions[0]}"
