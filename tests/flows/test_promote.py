"""`oncue promote` and the way back, while events keep coming: nothing is decided twice, nothing is lost."""

from __future__ import annotations

import shutil
import signal
from collections import Counter

import pytest

from flows import plan as planning
from flows.plan import EVENT_TIME, LIVE
from flows.swap import BEFORE
from tests.brokers import EmbeddedBroker
from tests.flows.conftest import Maker
from tests.flows.running import Scope
from tests.flows.test_replay import completed, decided, visit
from tests.program import Program, until


def send(scope: Scope, first: int, last: int) -> None:
    for number in range(first, last):
        scope.send(*visit(number), partition=number % 4)


def promoting(scope: Scope, *more: object, module: str = "flows.cli") -> Program:
    """It runs beside the live run, until it asks for that to be stopped."""
    told = "--live", scope.state, "--brokers", scope.broker.bootstrap
    promote = scope.oncue("promote", *more, *told, module=module)
    until(lambda: "Stop the live run now" in promote.said or not promote.running, "the request to stop")
    assert promote.running, promote.said
    return promote


def hand_over(scope: Scope, live: Program, *more: object, module: str = "flows.cli", code: int = 0) -> None:
    promote = promoting(scope, *more, module=module)
    assert live.stop() == 0, live.said
    assert promote.wait() == code, promote.said


def started(scope: Scope, first: int = 0, last: int = 0) -> Program:
    """A live run that has made a cut, of these visits among others."""
    before = scope.size("order")
    send(scope, first, last)
    run = scope.run()
    until(lambda: scope.size("order") > before + 1 or not run.running, "a cut")
    assert run.running, run.said
    return run


@pytest.mark.parametrize(("broker", "order"), [("mock", EVENT_TIME), ("kafka", LIVE)])
def test_live_goes_on_with_a_replayed_state_and_back_and_every_decision_is_made_once(
    broker: str, order: str, scoped: Maker, request: pytest.FixtureRequest
) -> None:
    scope = scoped(request.getfixturevalue(broker))
    send(scope, 0, 60)
    live = started(scope)
    until(lambda: scope.size("identities") >= 40, "the merges")
    early = scope.oncue("promote", scope.state, "--live", scope.state, "--brokers", scope.broker.bootstrap)
    assert early.wait() == 2
    assert "holds no replay" in early.said

    completed(scope, "new", "--order", order)
    send(scope, 60, 90)
    if broker == "mock":
        stopped = promoting(scope, scope.folder / "new")
        stopped.signal(signal.SIGINT)
        assert stopped.wait() == 130, stopped.said
        assert stopped.said.endswith("stopped; the same command goes on\n")
        # It dies at the last moment, and the live run goes on as it was.
        hand_over(scope, live, scope.folder / "new", module="tests.flows.torn", code=-signal.SIGKILL)
        live = started(scope, 90, 100)
    else:
        send(scope, 90, 100)
    hand_over(scope, live, scope.folder / "new")
    live = started(scope, 100, 120)
    send(scope, 120, 150)
    hand_over(scope, live, "--undo")
    live = started(scope, 150, 165)
    send(scope, 165, 180)
    scope.finish()
    assert live.wait() == 0, live.said

    ids = Counter(it.headers["ce_id"] for it in scope.records("triggers"))
    assert max(ids.values()) == 1
    assert len(ids) > 40
    found = decided(scope, scope.name)
    assert decided(scope, completed(scope, "all")) == found
    ledger = scope.ask("ledger", "--config", scope.config, "--brokers", scope.broker.bootstrap)
    assert "balanced" in ledger
    shutil.rmtree(scope.folder / "all")


def test_a_live_run_that_was_killed_is_not_replaced_before_it_has_sent_everything(
    mock: EmbeddedBroker, scoped: Maker
) -> None:
    """Its last cut is in the order; what it decided then may be nowhere."""
    scope = scoped(mock, epoch="60s")
    assert started(scope, 0, 4).stop() == 0
    started(scope, 4, 8).kill()
    completed(scope, "new")
    promote = scope.oncue("promote", scope.folder / "new", "--live", scope.state, "--brokers", mock.bootstrap)
    assert promote.wait() == 2
    assert "the live run was not stopped cleanly: cut" in promote.said
    assert planning.read(scope.folder / "new" / scope.name) is not None
    assert not (scope.state / BEFORE).exists()
