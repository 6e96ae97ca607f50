"""Fixtures shared by every test: the two brokers, and names of one's own on them.

`make test` runs without Java: tests of the real broker are then skipped. REQUIRE_KAFKA=1 makes that a
failure.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from deploy.kafka.broker import KafkaBroker, Unavailable
from tests.brokers import Broker, EmbeddedBroker, RealBroker

AnyBroker = TypeVar("AnyBroker", bound=KafkaBroker)


@contextmanager
def or_skipped(broker: AnyBroker) -> Iterator[AnyBroker]:
    """The broker, running; without Java the tests that need it are skipped."""
    try:
        broker.start()
    except Unavailable as reason:
        if os.environ.get("REQUIRE_KAFKA") == "1":
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def kafka() -> Iterator[RealBroker]:
    """Apache Kafka, shared by the session: create topics under `scope`, leave the process alone."""
    with or_skipped(RealBroker()) as broker:
        yield broker


@pytest.fixture(scope="module")
def mock() -> Iterator[EmbeddedBroker]:
    """The embedded broker, shared by a module. It draws producer ids from 900,000 by lot; among the hundreds
    of producers of a whole session two get the same now and then, and one of them fails."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture(params=["embedded", "kafka"])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each broker in turn: a test that asks for it runs twice."""
    found: Broker = request.getfixturevalue("mock" if request.param == "embedded" else "kafka")
    return found


@pytest.fixture
def scope() -> str:
    """A short name no other test has, to prefix topics, groups and transactional ids with."""
    return f"t{secrets.token_hex(4)}"
