"""A worker does not look for cycles: what it does all the time leaves none behind."""

import gc
from collections.abc import Iterator

import pytest

from flows import hugepages
from flows.telemetry.server import Server, ask
from flows.telemetry.watching import Watching, _exposed
from tests.events import consent, event, inputs, retail, track
from tests.simulate import Simulation, cut_up

ANN = {"user": "ann"}


@pytest.fixture
def undisturbed() -> Iterator[None]:
    """Python does not look for cycles by itself meanwhile."""
    gc.disable()
    yield
    gc.enable()


def left_behind() -> int:
    """How many objects in cycles nobody can reach."""
    return gc.collect()


def day(start: float) -> list[bytes]:
    """What customers do, who of them are one, and what is no event at all."""
    cookie = {"anonymous": f"cookie-{start}"}
    return [
        consent(start, **ANN),
        track("Product Viewed", start + 1, product_id="p1", **cookie),
        track("Product Added", start + 2, product_id="p1", price=10, cart_id="c1", **cookie),
        event("identify", start + 3, **ANN, **cookie),
        track("Order Completed", start + 1, order_id="o1", total="ten", **ANN),
        track("Order Completed", start + 200, order_id="o2", total=10, **ANN),
        b"{}",
        b"no event",
        b'{"type":"track","event":7,"timestamp":"yesterday","userId":"ann"}',
    ]


def test_events_leave_nothing_behind_whatever_is_wrong_with_them(undisturbed: None) -> None:
    events = [one for number in range(4) for one in day(number * 1440)]
    shop, log = retail(), inputs(events)
    simulation = Simulation(shop, log)
    steps = list(cut_up(shop, log, [[1]] * len(events)))
    for step in steps[: len(steps) // 2]:
        simulation.cut(step)  # types are looked through once
    left_behind()
    for step in steps[len(steps) // 2 :]:
        simulation.cut(step)
    assert left_behind() == 0
    outcome = simulation.finish().outcome()
    assert outcome.triggers
    assert outcome.dead_letters


def test_scrapes_leave_nothing_behind(undisturbed: None) -> None:
    watching = Watching()
    server = Server("127.0.0.1", 0, lambda: [], lambda: _exposed(watching.figures, "shop"))
    try:
        ask(server.port, "/metrics")
        left_behind()
        for path in ("/livez", "/readyz", "/metrics") * 5:
            assert ask(server.port, path)[0] == 200
        assert left_behind() == 0
    finally:
        server.close()


def test_asking_for_large_pages_leaves_nothing_behind(undisturbed: None) -> None:
    hugepages.ask([])
    left_behind()
    hugepages.ask([])
    assert left_behind() == 0
