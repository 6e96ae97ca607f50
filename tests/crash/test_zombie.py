"""An oncue that was thought dead comes back; a broker dies under a running one."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from deploy.kafka.broker import Unavailable
from flows import kafka
from schemas import topics
from tests.brokers import RealBroker
from tests.crash.harness import Scope
from tests.crash.test_kill import exact, outputs
from tests.crash.traffic import Message, traffic
from tests.program import PATIENCE, Program, until


@pytest.fixture
def shop(kafka: RealBroker, tmp_path: Path) -> Iterator[Scope]:
    with Scope(kafka.bootstrap, tmp_path, seed=1) as scope:
        yield scope


def running(scope: Scope, messages: list[Message], workers: int = 1) -> Program:
    """A run that has kept a checkpoint and written to every partition of its output: before that, its
    transactional producers may still be opening, and would fence whoever opened them meanwhile."""
    scope.send(messages)
    run = scope.start(workers)
    until(lambda: any(scope.state.glob("*/shard-*/ckpt-*")) or not run.running, "a checkpoint")
    until(lambda: all_written(scope) or not run.running, "output in every partition")
    assert run.running, run.said
    return run


def all_written(scope: Scope) -> bool:
    client = kafka.consumer(scope.brokers, "test")
    try:
        decisions = topics.output(scope.book.scope, topics.DECISIONS)
        return all(kafka.bounds(client, (decisions, p))[1] for p in range(scope.book.engine.partitions))
    finally:
        client.close()


def freeze(run: Program) -> None:
    """It and its workers, as when their machine is paused."""
    pids = run.process.pid, *run.members()
    os.killpg(run.process.pid, signal.SIGSTOP)
    until(lambda: all(map(frozen, pids)), "the processes stand still")


def frozen(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize(("state", "workers"), [("copied", 2), ("empty", 1)])
def test_a_zombie_notices_its_successor_and_adds_nothing(
    shop: Scope, tmp_path: Path, state: str, workers: int
) -> None:
    messages = traffic(6_000, seed=2)
    zombie = running(shop, messages[:2_000], workers)
    shop.send(messages[2_000:4_000])  # so that it has something in its hands
    freeze(zombie)

    elsewhere = tmp_path / "elsewhere"
    if state == "copied":
        shutil.copytree(shop.state, elsewhere)
    before = shop.ordered()
    successor = shop.start(workers, elsewhere)
    assert goes_on(shop, successor, before + 2), successor.said

    os.killpg(zombie.process.pid, signal.SIGCONT)
    shop.send(messages[4_000:])
    assert zombie.wait() == 2, zombie.said
    assert "another oncue took over" in zombie.said
    assert "Traceback" not in zombie.said

    assert successor.running, successor.said
    shop.finish()
    assert successor.wait() == 0, successor.said
    shop.state = elsewhere
    exact(shop, 6_000)


def test_a_zombie_that_wakes_up_after_the_end_adds_nothing(shop: Scope, tmp_path: Path) -> None:
    messages = traffic(4_000, seed=3)
    zombie = running(shop, messages)
    freeze(zombie)
    own, shop.state = shop.state, tmp_path / "elsewhere"
    shop.finish()
    shop.complete()
    exact(shop, 4_000)
    written = outputs(shop)

    zombie.signal(signal.SIGCONT)
    assert zombie.wait() == 2, zombie.said
    assert "another oncue took over" in zombie.said
    assert outputs(shop) == written
    # What it wrote to its own directory meanwhile is no harm: the same command goes on from there.
    shop.state = own
    shop.complete()
    exact(shop, 4_000)


def test_a_run_that_is_fenced_without_a_successor_starts_again_by_itself(shop: Scope) -> None:
    """As by a process that was paused while it opened its producers, and that woke up too late."""
    messages = traffic(4_000, seed=5)
    run = running(shop, messages[:2_000])
    for index in range(shop.book.engine.partitions):
        name = f"oncue-{shop.name}-sink-{index}"
        Producer({"bootstrap.servers": shop.brokers, "transactional.id": name}).init_transactions(PATIENCE)
    before = shop.ordered()
    shop.send(messages[2_000:])
    assert goes_on(shop, run, before + 5), run.said
    shop.finish()
    assert run.wait() == 0, run.said
    assert "starting again" in run.said
    assert "Traceback" not in run.said
    exact(shop, 4_000)


def goes_on(scope: Scope, run: Program, before: int) -> bool:
    """Whether it makes further cuts; False when it ends instead."""
    until(lambda: scope.ordered() > before or not run.running, "cuts, or the end")
    return run.running


def test_a_killed_broker_comes_back_and_the_run_goes_on(tmp_path: Path) -> None:
    """By itself, also where the broker forgot to finish what it had acknowledged."""
    messages = traffic(6_000, seed=4)
    try:
        broker = RealBroker(killed=True)
        broker.start()
    except Unavailable as reason:
        if os.environ.get("REQUIRE_KAFKA") == "1":
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
    try:
        with Scope(broker.bootstrap, tmp_path, seed=4) as shop:
            run = running(shop, messages[:3_000])
            for share in (3_000, 4_500):
                broker.kill()
                broker.restart()
                before = shop.ordered()
                shop.send(messages[share : share + 1_500])
                assert goes_on(shop, run, before), run.said
            shop.finish()
            assert run.wait() == 0, run.said
            assert "Traceback" not in run.said
            exact(shop, 6_000)
    finally:
        broker.stop()
