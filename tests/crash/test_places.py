"""kill -9 at the places where it could do harm, one after the other; and a clock that goes back."""

import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.brokers import RealBroker
from tests.crash.harness import Scope
from tests.crash.test_kill import exact
from tests.crash.traffic import traffic
from tests.program import until

# Place and how often it is passed before. The same again and again is within one epoch.
DEATHS = (
    ("acknowledged", 1), ("acknowledged", 2), ("acknowledged", 1), ("moving", 1), ("restoring", 1),
    ("uncommitted", 2), ("fenced", 1), ("read_back", 2), ("emitted", 1), ("emitted", 2), ("emitted", 1),
    ("checkpointed", 1), ("restoring", 3), ("checkpointed", 4), ("settled", 2), ("moving", 2),
)  # fmt: skip


@pytest.fixture
def shop(kafka: RealBroker, tmp_path: Path) -> Iterator[Scope]:
    with Scope(kafka.bootstrap, tmp_path, seed=21) as scope:
        yield scope


def test_killed_at_every_place_where_it_could_do_harm_it_does_none(shop: Scope) -> None:
    messages = traffic(8_000, seed=21)
    shares = [len(messages) * n // len(DEATHS) for n in range(len(DEATHS) + 1)]
    for (place, count), (begin, end) in zip(DEATHS, pairwise(shares), strict=True):
        shop.send(messages[begin:end])
        run = shop.start_doomed(place, count)
        assert run.wait() == -signal.SIGKILL, f"{place} {count}: {run.said}"
    shop.finish()
    shop.complete()
    exact(shop, 8_000)


def test_when_the_clock_goes_back_it_starts_again_and_nothing_else_happens(shop: Scope) -> None:
    shop.send(traffic(3_000, seed=22))
    run = shop.start_doomed("clock", 0)
    until(lambda: "the clock went back 3600 s; this process starts again" in run.said, "it notices")
    shop.finish()
    assert run.wait() == 0, run.said
    exact(shop, 3_000)
