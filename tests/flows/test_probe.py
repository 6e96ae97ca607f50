"""Proof of idleness comes from the broker, or it does not come."""

from flows.probe import Answer, Probe
from tests.brokers import Broker, RealBroker
from tests.program import until


def asked(probe: Probe, at: int) -> list[Answer]:
    """The answers to one question, an empty list when it failed."""
    probe.ask([0, 1], at)
    found: list[list[Answer]] = []
    until(lambda: found.append(probe.answers()) or not probe.busy, "an answer, or none in time")
    return found[-1]


def test_a_probe_says_where_partitions_end_and_when_it_was_asked(broker: Broker, scope: str) -> None:
    broker.create(scope)
    probe = Probe(broker.bootstrap, [(scope, 0), (scope, 1)])
    until(lambda: asked(probe, 7) == [Answer(0, 0, 7), Answer(1, 0, 7)], "two empty partitions")
    assert not probe.failed


def test_no_broker_is_no_proof_and_afterwards_the_broker_is_believed_again(
    own: RealBroker, scope: str
) -> None:
    own.create(scope)
    probe = Probe(own.bootstrap, [(scope, 0), (scope, 1)])
    until(lambda: len(asked(probe, 1)) == 2, "an answer")
    own.pause()
    try:
        for at in (2, 3):  # longer than its controller waits for it
            assert asked(probe, at) == []
            assert probe.failed
    finally:
        own.resume()
    until(lambda: asked(probe, 4) == [Answer(0, 0, 4), Answer(1, 0, 4)], "the broker is back")
    until(lambda: all(len(asked(probe, 5)) == 2 for _ in range(20)), "it stays")
