"""The learning flow as its users run it: examples in, models out, the same again after a stop."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from flows import cli
from flows import topics as making
from flows.kafka import KafkaTrouble
from operators import playbook
from operators.churn import published
from schemas.churn import Example, Metrics
from tests.brokers import EmbeddedBroker
from tests.events import track
from tests.flows.running import Record, Scope, committed
from tests.operators.churn.people import examples, shop
from tests.operators.intent.people import examples as visits
from tests.program import PATIENCE, until

Maker = Callable[..., Scope]

FORETOLD = """
churn:
  on: [Order Completed]
  value: properties.total
  horizon: 30d
  contestants: [recursive, logistic]
intent:
  on: [Order Completed]
  signals: {looks: [Product Viewed], adds: [Product Added], checkouts: [Checkout Started]}
"""


@pytest.fixture
def learning(scoped: Maker, mock: EmbeddedBroker) -> Scope:
    scope = scoped(mock, topics=False)
    scope.config.write_text(scope.config.read_text() + FORETOLD)
    making.create(playbook.load(scope.config.read_text()), mock.bootstrap)
    return scope


def tell(scope: Scope, start: int, end: int) -> None:
    producer = Producer({"bootstrap.servers": scope.broker.bootstrap, "log_level": 0})
    for example in examples(shop(60, 150))[start:end]:
        producer.produce(
            scope.topic("churn-examples"), msgspec.json.encode(example), example.customer, partition=0
        )
    for example in visits(end)[start:]:
        producer.produce(
            scope.topic("intent-examples"), msgspec.json.encode(example), example.customer, partition=0
        )
    assert producer.flush(PATIENCE) == 0


def learn(scope: Scope, *more: str, code: int = 0) -> str:
    return scope.ask(
        "learn", "--config", scope.config, "--brokers", scope.broker.bootstrap, "--state", scope.state,
        "--once", *more, code=code,
    )  # fmt: skip


def ask(scope: Scope, command: str, *rest: object, subject: str = "churn") -> str:
    """What `oncue models` says, in this process: it is quick, starting a program is not."""
    about = ("--subject", subject) if subject else ()
    words = ("models", command, "--config", scope.config, "--brokers", scope.broker.bootstrap, *about, *rest)
    result = CliRunner().invoke(cli.app(), [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, KafkaTrouble), result.output
    return result.output + str(result.exception or "")


def models(scope: Scope, subject: str = "churn") -> list[Record]:
    return [it for it in committed(scope.broker, scope.topic("models")) if it.key.startswith(f"{subject}/")]


def test_a_learner_that_was_stopped_goes_on_and_publishes_what_it_would_have_published(
    learning: Scope,
) -> None:
    tell(learning, 0, 400)
    learn(learning)
    before = models(learning)
    assert before
    assert published.read(before[-1].raw).contestant == "recursive"
    visits_before = models(learning, "intent")
    assert {published.read(it.raw).subject for it in visits_before if it.raw} == {"intent"}
    tell(learning, 400, 600)
    learn(learning, "--subject", "churn")
    stopped = [record.raw for record in models(learning)]
    assert len(stopped) > len(before)
    assert models(learning, "intent") == visits_before, "this one learns churn only"
    metrics = committed(learning.broker, learning.topic("model-metrics"))
    assert msgspec.json.decode(metrics[-1].raw, type=Metrics).champion == "recursive"
    learn(learning, "--anew", "--subject", "churn")
    assert [record.raw for record in models(learning)] == stopped, "what is there is not published twice"
    assert committed(learning.broker, learning.topic("model-metrics")) == metrics


def test_an_operator_lists_shows_promotes_and_rolls_back(learning: Scope, tmp_path: Path) -> None:
    assert "no churn model yet; the rule serves" in ask(learning, "show")
    assert "no report about churn yet" in ask(learning, "report", "--out", tmp_path / "report.html")
    tell(learning, 0, 400)
    learn(learning)
    assert "foretells churn and intent: say which with --subject" in ask(learning, "show", subject="")
    assert {line.split("\t")[0] for line in ask(learning, "list", subject="").splitlines()} == {
        "churn",
        "intent",
    }
    assert '"subject": "intent"' in ask(learning, "show", subject="intent")
    ask(learning, "report", "--out", tmp_path / "intent.html", subject="intent")
    assert "shop: intent" in (tmp_path / "intent.html").read_text().replace(learning.name, "shop")
    versions = [int(line.split("\t")[1]) for line in ask(learning, "list").splitlines()]
    assert versions == sorted(versions)
    assert f'"version": {versions[-1]}' in ask(learning, "show")
    assert "382 labels" in ask(learning, "report", "--out", tmp_path / "report.html")
    assert "<svg" in (tmp_path / "report.html").read_text()
    assert "kept are" in ask(learning, "rollback", 7)
    assert "takes no part in churn; these do: recursive, logistic, rule" in ask(learning, "promote", "oak")
    ask(learning, "promote", "logistic")
    ask(learning, "rollback", versions[0])
    learn(learning)
    promoted, back = [line.split("\t") for line in ask(learning, "list").splitlines()][-2:]
    assert promoted[2] == "logistic"
    assert back[-1] == f"an operator rolled back to version {versions[0]}"


LOOP = """
intent:
  on: [Order Completed]
  signals: {looks: [Product Viewed], adds: [Product Added], checkouts: [Checkout Started]}
  horizon: 1h
"""


def test_what_is_scored_is_learnt_from_and_what_is_learnt_scores(scoped: Maker, mock: EmbeddedBroker) -> None:
    """The whole way round: visits, labels an hour later, a model, and a visit that it scores."""
    scope = scoped(mock, topics=False, cut_events="20")  # labels that one cut brings are known at once
    scope.config.write_text(scope.config.read_text() + LOOP)
    making.create(playbook.load(scope.config.read_text()), mock.bootstrap)
    visitors = 140
    scope.send(*(it for number in range(visitors) for it in visit(number)))
    run = scope.run()
    labels = scope.await_records("intent-examples", visitors - 20, run)
    known = [msgspec.json.decode(it.raw, type=Example) for it in labels]
    assert {example.label for example in known} == {True, False}
    assert {example.version for example in known} == {0}
    learn(scope)
    newest = max(published.read(it.raw).version for it in models(scope, "intent") if it.raw)
    scope.send(*visit(visitors + 1))

    def scored() -> bool:
        found = scope.known(f"anonymous_id:v{visitors + 1}", run)
        return found is not None and found["scores"]["intent_model"] == newest

    until(scored, "a score by the newest model")
    assert run.stop() == 0, run.said


def visit(number: int) -> list[bytes]:
    """Of a visitor five minutes after the one before: two looks, and of every third an order."""
    who, at = {"anonymous": f"v{number}"}, number * 5
    looks = [track("Product Viewed", at + n, product_id="p1", **who) for n in range(2)]
    return looks if number % 3 else [*looks, track("Order Completed", at + 3, order_id="o", total=9, **who)]
