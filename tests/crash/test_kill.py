"""kill -9, SIGTERM, a lost state directory, more and fewer workers: the result is always the same."""

import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.fixed import BadModel
from flows.lookup import customer, scope_of
from flows.past import Remembered
from schemas import topics
from tests.brokers import EmbeddedBroker, RealBroker
from tests.crash.harness import Feed, Scope, Story, kill_again_and_again
from tests.crash.traffic import Message, traffic
from tests.crash.verify import Findings, Log, read, verify
from tests.program import Program, until


@pytest.fixture
def shop(kafka: RealBroker, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scope]:
    more = getattr(request, "param", "")
    with Scope(kafka.bootstrap, tmp_path, seed=1, more=more) as scope:
        yield scope


def exact(scope: Scope, events: int) -> Findings:
    """All of it is as the oracle says, and there was something to compare."""
    found = verify(scope.book, scope.brokers, scope.state)
    assert found.problems == []
    assert (found.lost, found.duplicated, found.unexpected, found.altered) == (0, 0, 0, 0)
    assert found.ledger_balanced
    assert found.events == events
    assert found.customers_compared > events / 20
    assert found.scored_by_models > 0
    for kind in ("triggers", "decisions", "dead_letters", "merges", "profiles", "open_carts", "labels"):
        assert getattr(found, kind) > events / 200, f"{kind}: too few to prove anything"
    return found


def outputs(scope: Scope) -> Log:
    """All that was ever written, record by record."""
    return read(scope.brokers, [topics.output(scope.name, code) for code in scope.book.outputs])


def killed(story: Story, kills: int) -> None:
    """As often as intended, but for a run that reached its end before the last kill."""
    assert kills - 1 <= story.kills <= kills
    assert story.surprises == []


@pytest.mark.parametrize("shop", ["history: {keep: 15s}"], indirect=True)
def test_killed_eight_times_it_loses_nothing_and_repeats_nothing(shop: Scope) -> None:
    """And its history, with what was folded of it, makes everybody again."""
    story = kill_again_and_again(shop, traffic(8_000, seed=1), kills=8, seed=1)
    killed(story, 8)
    first = exact(shop, 8_000)
    assert min(first.folded, first.kept) > 1_000
    assert first.incarnations >= story.kills - story.rushed
    written = outputs(shop)
    shop.complete()  # what has ended ends again at once, and adds nothing
    assert outputs(shop) == written
    everybody_is_found(shop)
    scored_as_then(shop)


def scored_as_then(shop: Scope) -> None:
    """By the model that served, or by the one that is asked for."""
    with Remembered(scope_of(shop.state)) as past:
        live = [it for n in range(50) if (it := customer(past.root, f"u{n}")) and it["scores"]["churn_model"]]
        same = 0
        for one in live:
            key = one["identifiers"][0]["key"]
            then = past.customer(key, past.until)
            assert then is not None
            same += then["scores"]["churn_model"] == one["scores"]["churn_model"]
        assert same > 0.8 * len(live) > 5, "a merge, and what was folded, may have asked for other scores"
        version = live[0]["scores"]["churn_model"]
        asked = past.customer(key, past.until, [f"churn={version}"])
        assert asked is not None
        assert asked["scores"]["churn_model"] == version
        with pytest.raises(BadModel, match="keeps the newest 32 of each subject, holds no churn model 7"):
            past.customer(key, past.until, ["churn=7"])


def everybody_is_found(shop: Scope) -> None:
    """By every identifier, whatever was merged with what."""
    root = scope_of(shop.state)
    someone = next(
        found for n in range(50) if (found := customer(root, f"u{n}")) and len(found["identifiers"]) > 2
    )
    for identifier in random.Random(8).sample(someone["identifiers"], 3):
        same = customer(root, identifier["key"])
        assert same is not None
        assert same["customer"] == someone["customer"]
        assert same["waiting_for_move"] == 0


def test_two_workers_killed_with_and_without_their_supervisor(shop: Scope) -> None:
    story = kill_again_and_again(shop, traffic(6_000, seed=2), kills=5, seed=2, workers=2)
    killed(story, 5)
    exact(shop, 6_000)


def test_it_survives_kills_on_the_embedded_broker_too(mock: EmbeddedBroker, tmp_path: Path) -> None:
    with Scope(mock.bootstrap, tmp_path, seed=3) as scope:
        story = kill_again_and_again(scope, traffic(5_000, seed=3), kills=4, seed=3)
        killed(story, 4)
        exact(scope, 5_000)


def half_way(scope: Scope, messages: list[Message], workers: int = 1) -> Program:
    """Send the first half and start; returns the run when it has ordered some of it, the rest follows."""
    before = scope.ordered()
    scope.send(messages[: len(messages) // 2])
    run = scope.start(workers)
    until(lambda: scope.ordered() > before + 2 or not run.running, "cuts")
    scope.send(messages[len(messages) // 2 :])
    return run


def test_a_lost_state_directory_is_rebuilt_from_the_order(shop: Scope) -> None:
    run = half_way(shop, traffic(5_000, seed=5))
    until(lambda: any(shop.state.glob("*/shard-*/ckpt-*")) or not run.running, "a checkpoint")
    run.kill()
    shutil.rmtree(shop.state)
    shop.finish()
    shop.complete()
    exact(shop, 5_000)


def test_one_worker_becomes_three_and_then_two_while_events_keep_coming(shop: Scope) -> None:
    messages = traffic(6_000, seed=6)
    with Feed(shop, messages, 1_000) as feed:
        feed.allow(1)
        for workers in (1, 3):
            before = shop.ordered()
            run = shop.start(workers)
            until(lambda: shop.ordered() > before + 5 or not run.running, "cuts")  # noqa: B023
            if workers == 1:
                run.signal(signal.SIGTERM)
                assert run.wait() == 0, run.said
            else:
                run.end()
        feed.rest()
    shop.finish()
    shop.complete(workers=2)
    exact(shop, 6_000)
