"""The sink after a start: what was sent and comes again is dropped, nothing else is."""

import pytest
from confluent_kafka import Producer

from flows import replay
from flows import topics as making
from flows.kafka import Interrupted
from flows.orderlog import OrderLog, Superseded
from flows.plan import Plan
from flows.settings import Run
from flows.sink import Sink, SinkPartition, brought
from flows.start import open_run
from operators.cuts import Opened
from operators.effects import Effect
from schemas import topics
from tests.brokers import Broker, EmbeddedBroker, RealBroker
from tests.flows.conftest import Maker
from tests.flows.running import Scope
from tests.flows.test_writer import left_open
from tests.program import PATIENCE


def run_of(scope: Scope) -> Run:
    return open_run(scope.config, scope.broker.bootstrap, scope.state)


def built(scope: Scope, resume: bytes | None = None) -> SinkPartition:
    return Sink(run_of(scope)).build_part("sink", "0", resume)


def effect(id: str, topic: int = topics.TRIGGERS) -> Effect:
    return Effect(topic, id, "c-1", b"{}", "oncue.test", 1_700_000_000_000, 1_700_000_000_000)


def cut(sink: SinkPartition, number: int, *ids: str) -> None:
    """What a cut caused; by default one trigger and one decision."""
    effects = [effect(id) for id in ids] or [effect(f"t{number}"), effect(f"d{number}", topics.DECISIONS)]
    sink.write_batch([(number, effects)])


def committed_by(sink: SinkPartition) -> None:
    """All of it is on the broker, but no snapshot was taken: the epoch has not ended."""
    sink._writer.flush()


def ids(scope: Scope, name: str = "triggers") -> list[str]:
    return [record.headers["ce_id"] for record in scope.records(name)]


def test_what_came_out_after_a_snapshot_is_dropped_when_repeated(broker: Broker, scoped: Maker) -> None:
    scope = scoped(broker)
    first = built(scope)
    cut(first, 1)
    kept = first.snapshot()
    cut(first, 2)
    committed_by(first)
    second = built(scope, kept)
    cut(second, 2)
    cut(second, 3)
    second.snapshot()
    assert second.dropped == 2
    assert ids(scope) == ["t1", "t2", "t3"]
    assert ids(scope, "decisions") == ["d1", "d2", "d3"]
    second.close()


def test_a_repeated_cut_may_have_been_sent_in_part(broker: Broker, scoped: Maker) -> None:
    scope = scoped(broker)
    first = built(scope)
    kept = first.snapshot()
    cut(first, 1, "a", "b")
    committed_by(first)
    second = built(scope, kept)
    cut(second, 1, "a", "b", "c")
    second.snapshot()
    assert ids(scope) == ["a", "b", "c"]
    second.close()


def test_without_any_snapshot_all_of_the_output_is_read_back(broker: Broker, scoped: Maker) -> None:
    scope = scoped(broker)
    first = built(scope)
    for number in range(1, 6):
        cut(first, number)
        first.snapshot()
    second = built(scope)
    for number in range(1, 7):
        cut(second, number)
    second.snapshot()
    assert ids(scope) == [f"t{number}" for number in range(1, 7)]
    second.close()


def test_a_snapshot_two_epochs_behind_still_drops_everything_after_it(broker: Broker, scoped: Maker) -> None:
    scope = scoped(broker)
    first = built(scope)
    cut(first, 1)
    kept = first.snapshot()
    for number in (2, 3):
        cut(first, number)
        first.snapshot()
    second = built(scope, kept)
    for number in (2, 3, 4):
        cut(second, number)
    second.snapshot()
    assert ids(scope) == ["t1", "t2", "t3", "t4"]
    second.close()


def test_a_snapshot_of_an_epoch_that_never_counted_still_drops_what_is_repeated(
    broker: Broker, scoped: Maker
) -> None:
    """Bytewax may restore the row of an epoch that was not committed: its cuts come again."""
    scope = scoped(broker)
    first = built(scope)
    cut(first, 1)
    first.snapshot()
    cut(first, 2)
    too_new = first.snapshot()
    second = built(scope, too_new)
    cut(second, 2)
    cut(second, 3)
    second.snapshot()
    assert ids(scope) == ["t1", "t2", "t3"]
    second.close()


def test_what_is_still_to_be_repeated_is_found_after_a_second_crash(broker: Broker, scoped: Maker) -> None:
    scope = scoped(broker)
    first = built(scope)
    cut(first, 1)
    kept = first.snapshot()
    for number in (2, 3):
        cut(first, number)
    committed_by(first)
    second = built(scope, kept)
    cut(second, 2)  # cut 3 is still to come again
    second.snapshot()
    kept = second.snapshot()
    second.close()
    third = built(scope, kept)
    cut(third, 3)
    cut(third, 4)
    third.snapshot()
    assert ids(scope) == ["t1", "t2", "t3", "t4"]
    third.close()


def test_the_same_id_on_two_topics_are_two_records(broker: Broker, scoped: Maker) -> None:
    scope = scoped(broker)
    first = built(scope)
    kept = first.snapshot()
    cut(first, 1, "x")
    committed_by(first)
    second = built(scope, kept)
    second.write_batch([(1, [effect("x"), effect("x", topics.DECISIONS)])])
    second.snapshot()
    assert (ids(scope), ids(scope, "decisions")) == (["x"], ["x"])
    second.close()


def test_every_partition_of_a_sink_finds_the_compacted_topic(broker: Broker, scoped: Maker) -> None:
    """Partition 1 owns no partition of the single topics, and all of the others."""
    scope = scoped(broker)
    sink = Sink(run_of(scope)).build_part("sink", "1", None)
    sink.write_batch([(1, [effect("p1", topics.PROFILES)])])
    sink.snapshot()
    assert ids(scope, "profiles") == ["p1"]
    sink.close()


def test_a_profile_that_was_compacted_away_does_not_come_back_over_a_newer_one(
    broker: Broker, scoped: Maker
) -> None:
    scope = scoped(broker)
    first = built(scope)
    kept = first.snapshot()
    first.write_batch([(2, [effect("p2", topics.PROFILES)])])  # p1 of cut 1 is gone: compacted
    committed_by(first)
    second = built(scope, kept)
    for number in (1, 2, 3):
        second.write_batch([(number, [effect(f"p{number}", topics.PROFILES)])])
    second.snapshot()
    assert second.dropped == 2
    assert ids(scope, "profiles") == ["p2", "p3"]
    second.close()


def test_records_of_others_on_an_output_topic_do_no_harm(broker: Broker, scoped: Maker) -> None:
    scope = scoped(broker)
    stranger = Producer({"bootstrap.servers": broker.bootstrap})
    stranger.produce(scope.topic("control"), b"{}", key=b"end", partition=0)
    assert stranger.flush(PATIENCE) == 0
    sink = built(scope)
    cut(sink, 1)
    sink.snapshot()
    assert ids(scope) == ["t1"]
    sink.close()


def test_what_a_dead_predecessor_left_uncommitted_is_sent_again(kafka: RealBroker, scoped: Maker) -> None:
    scope = scoped(kafka)
    name = f"oncue-{scope.name}-sink-0"
    left_open(kafka, name, scope.topic("triggers"), b"not committed")
    sink = built(scope)
    cut(sink, 1)
    sink.snapshot()
    assert sink.dropped == 0
    assert ids(scope) == ["t1"]
    sink.close()


def publishing(scope: Scope) -> Run:
    """A replay that sends what is missing to the live topics."""
    space = f"{scope.name}.replay-1"
    own = making.written(space, scope.book.engine.partitions, [topics.MOVES, topics.CONTROL])
    making.make(own, scope.broker.bootstrap)
    plan = Plan(asked={}, playbook="", space=space, output="live", parts=[], published=True)
    return replay.make(scope.config.read_text(), scope.book, scope.broker.bootstrap, scope.state, plan)


def test_a_replay_counts_what_it_published_and_what_was_there_before_it_each_once(
    mock: EmbeddedBroker, scoped: Maker
) -> None:
    scope = scoped(mock)
    live = built(scope)
    cut(live, 1)
    live.snapshot()
    live.close()
    run = publishing(scope)
    first = Sink(run).build_part("sink", "0", None)
    cut(first, 7)
    first.write_batch([(8, [effect("t1")])])
    kept = first.snapshot()
    cut(first, 9)
    committed_by(first)  # and killed
    second = Sink(run).build_part("sink", "0", kept)
    cut(second, 9)
    second.snapshot()
    second.close()
    assert ids(scope) == ["t1", "t7", "t9"]
    counted = brought(run.directory.points)
    assert counted == {scope.topic("triggers"): (2, 1), scope.topic("decisions"): (2, 0)}


def opened(scope: Scope, run: Run) -> Run:
    """The run as one whose sequencer has announced itself."""
    log = OrderLog(run.brokers, run.order, 0, -1, None)
    log.read()
    log.open(Opened("playbook", []))
    run.incarnation = log.incarnation
    return run


def test_a_sink_that_was_taken_over_stops_and_adds_nothing(kafka: RealBroker, scoped: Maker) -> None:
    scope = scoped(kafka)
    old = Sink(opened(scope, run_of(scope))).build_part("sink", "0", None)
    cut(old, 1)
    kept = old.snapshot()
    new = Sink(opened(scope, run_of(scope))).build_part("sink", "0", kept)
    cut(old, 2)
    with pytest.raises(Superseded, match="another oncue took over"):
        old.snapshot()
    cut(new, 2)
    new.snapshot()
    assert ids(scope) == ["t1", "t2"]
    new.close()


def test_a_sink_that_is_fenced_without_a_successor_is_to_be_started_again(
    kafka: RealBroker, scoped: Maker
) -> None:
    """A process that had been paused while it opened its writers, and then saw that it was superseded."""
    scope = scoped(kafka)
    run = opened(scope, run_of(scope))
    sink = Sink(run).build_part("sink", "0", None)
    cut(sink, 1)
    kept = sink.snapshot()
    left_open(kafka, f"oncue-{scope.name}-sink-0", scope.topic("triggers"), b"{}")
    cut(sink, 2)
    with pytest.raises(Interrupted, match="What was not committed is sent again"):
        sink.snapshot()
    again = Sink(run).build_part("sink", "0", kept)
    cut(again, 2)
    again.snapshot()
    assert ids(scope) == ["t1", "t2"]
    again.close()
