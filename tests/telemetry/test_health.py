"""When a process is ready, and how one ends that is stuck."""

import subprocess
import sys
import time

from confluent_kafka import TopicPartition

from flows.pace import Pace
from flows.telemetry.health import Health, where_stuck
from flows.telemetry.views import OrderView
from flows.timings import Timings
from operators.cuts import Arrival
from operators.order import EVENT, INTERNAL_TIME, MOVE, Front
from tests.program import PATIENCE, ROOT


class Ends:
    """A consumer that has heard where its partitions end."""

    def __init__(self, *ends: int) -> None:
        self._ends = ends

    def get_watermark_offsets(self, place: TopicPartition, cached: bool) -> tuple[int, int]:
        assert cached, "nobody waits for the broker here"
        return 0, self._ends[place.partition]


def order(*ends: int) -> tuple[Front, OrderView]:
    front = Front(len(ends), 0, 3_600_000)
    places = [("shop.web", partition) for partition in range(len(ends))]
    return front, OrderView(front, places, Ends(*ends), Ends(), Pace(1.0), within=30)


def event(arrived: int) -> Arrival:
    return (5, 0, 0, EVENT, arrived, ("user_id:u",), b"")


def test_ready_is_who_has_heard_of_every_partition_and_is_caught_up() -> None:
    front, view = order(-1001, 0)
    assert view.why_not() == "nothing heard yet of shop.web/0"
    front, view = order(1, 0)
    assert view.why_not() == "1 records wait and none was taken yet"
    front.add(event(5))
    assert view.lag() == {("shop.web", 0): 1, ("shop.web", 1): 0}, "it has come but is not in the order"
    cut = front.propose(0, always=True)
    assert cut is not None
    view.took(front.release(cut, 0, ["shop.web/0", "shop.web/1"]).events)
    assert view.lag()["shop.web", 0] == 0
    assert view.why_not() == "", "however long ago it came: nothing waits"


def test_who_is_behind_is_ready_as_long_as_it_is_within_the_bound() -> None:
    _, view = order(7)
    now = int(time.time() * 1000)
    view.took([event(now - 95_000)])
    view.took([(INTERNAL_TIME, 1, 0, MOVE, now, None, b"")])  # the run's own, of what it has worked off
    assert view.why_not() == "95 s behind, 7 records wait"
    view.took([event(now - 1_000)])
    assert view.why_not() == ""
    view.took([event(now - 96_000)])
    assert view.why_not() == "", "what came late over another partition is no step back"
    view.arrived = now - 95_000
    view.repeating = 3
    assert view.why_not() == "3 cuts of before the last stop are repeated first"


def test_a_range_has_an_end_that_need_not_be_the_brokers() -> None:
    _, view = order(7, -1001)  # nobody asks for the end of a partition that the range takes nothing of
    view.until = {("shop.web", 0): 5, ("shop.web", 1): 0}
    assert view.lag() == {("shop.web", 0): 5, ("shop.web", 1): 0}
    assert view.why_not() == "5 records wait and none was taken yet"


def test_a_broker_that_does_not_acknowledge_is_a_reason() -> None:
    _, view = order(0)
    view.appended_at = time.monotonic() - 1
    assert view.why_not() == ""
    view.appended_at = time.monotonic() - 40
    assert view.why_not() == "the broker has not acknowledged a cut for 40 s"


def test_state_opens_on_the_first_cut_and_then_all_of_it() -> None:
    health = Health()
    health.wanted = frozenset({"resolve", "shard-00"})
    assert health.why_not() == ["the dataflow has not started"]
    health.started = True
    assert health.why_not() == []
    health.opened.add("resolve")
    assert health.why_not() == ["state not open yet: shard-00"]
    health.opened.add("shard-00")
    health.check("order", lambda: "so and so")
    assert health.why_not() == ["so and so"]


def test_who_waits_for_a_broker_is_not_ready_but_not_stuck_either() -> None:
    timings = Timings()
    health = Health(within=0.0, timings=timings)
    health.started = True
    timings.begin("sink snapshot")
    timings.waits("the broker")
    assert health.why_not() == ["waiting for the broker for 0 s"]
    assert where_stuck(timings, alone=True) == ""


def test_stuck_is_a_call_or_the_engine_but_never_the_wait_for_a_broker() -> None:
    timings = Timings()
    assert where_stuck(timings, alone=True) == "", "it has not begun"
    began = timings.begin("customer")
    assert where_stuck(timings, alone=False) == "in customer"
    timings.waits("the broker")
    assert where_stuck(timings, alone=False) == ""
    timings.add("customer", began)
    assert where_stuck(timings, alone=True) == "in the engine, between two calls"
    assert where_stuck(timings, alone=False) == "", "it may wait for another process"


NATIVE = """
import re
from flows.telemetry.watchdog import Watchdog
from flows.timings import Timings
timings = Timings()
Watchdog(timings, 1.0, True).start()
timings.begin("customer")
import time; time.sleep(0.3)
re.match("(a+)+$", "a" * 60 + "b")
"""


def test_a_native_call_that_never_returns_ends_the_process_and_shows_its_stack() -> None:
    """A hopeless regular expression keeps the interpreter's lock: no thread of Python can look."""
    ended = subprocess.run([sys.executable, "-c", NATIVE], cwd=ROOT, capture_output=True, timeout=PATIENCE)
    assert ended.returncode == 1
    assert b"Timeout" in ended.stderr
    assert b"re" in ended.stderr
    assert b'File "<string>", line 9' in ended.stderr
