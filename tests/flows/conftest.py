"""`scoped` makes scopes that end, with every process they started, when the test does."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import Broker, RealBroker
from tests.flows.running import Scope

Maker = Callable[..., Scope]


@pytest.fixture
def scoped(scope: str, tmp_path: Path) -> Iterator[Maker]:
    made: list[Scope] = []

    def make(broker: Broker, topics: bool = True, **more: Any) -> Scope:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Scope(broker, f"{scope}{'abcdefgh'[len(made)]}", folder, **more))
        if topics:
            made[-1].create_topics()
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def spare(kafka: RealBroker) -> Iterator[RealBroker]:
    """`kafka` is asked for because it skips where none can run."""
    with RealBroker(killed=True) as broker:
        yield broker


@pytest.fixture
def own(spare: RealBroker) -> Iterator[RealBroker]:
    """A broker to be paused and killed. The next test finds it running, however this one ends."""
    yield spare
    if spare.running():
        spare.resume()
    else:
        spare.restart()
