"""One process of a cluster elsewhere: which it is, and that the death of one restarts all of them."""

import os
import signal

import pytest

from deploy.kafka.broker import free_port
from flows.peers import BadPeers, Peers, parse
from tests.brokers import EmbeddedBroker
from tests.flows.conftest import Maker
from tests.flows.test_run import LATER, STORY
from tests.program import Program, until

PODS = "oncue-0.oncue:2101,oncue-1.oncue:2101,oncue-2.oncue:2101"


def test_a_pod_finds_itself_by_its_name_and_listens_on_its_own_port() -> None:
    assert parse(PODS, name="oncue-2.oncue.shop.svc") == Peers(
        ("oncue-0.oncue:2101", "oncue-1.oncue:2101", "0.0.0.0:2101"), 2
    )


def test_a_number_counts_more_than_the_name_and_an_address_stays() -> None:
    assert parse("127.0.0.1:1,127.0.0.1:2", 1) == Peers(("127.0.0.1:1", "127.0.0.1:2"), 1)


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(BadPeers) as raised:
        parse("a:1,a:1,b", name="c")
    said = str(raised.value)
    for words in ("'b' is not host:port", "a:1 is there twice", "none of the hosts begins with", "--peer"):
        assert words in said
    with pytest.raises(BadPeers, match="two processes or more"):
        parse("a:1", 0)
    with pytest.raises(BadPeers, match="counted from 0"):
        parse("a:1,b:2", 2)


def test_any_death_restarts_all_and_a_stop_of_all_is_a_clean_one(mock: EmbeddedBroker, scoped: Maker) -> None:
    scope = scoped(mock)
    peers = ",".join(f"127.0.0.1:{free_port()}" for _ in range(2))

    def run() -> list[Program]:
        return [scope.run("--peers", peers, "--peer", index) for index in range(2)]

    programs = run()
    scope.send(*STORY)
    until(lambda: scope.size("dead-letters") or not all(it.running for it in programs), "a dead letter")
    assert all(it.running for it in programs), programs[0].said + programs[1].said
    os.kill(programs[1].members()[0], signal.SIGKILL)
    for program in programs:
        until(lambda it=program: "start again from the last common epoch" in it.said, "a restart")
    scope.send(LATER)
    scope.await_records("triggers", 1, programs[0])
    for program in programs:
        program.signal(signal.SIGTERM)
    assert [program.wait() for program in programs] == [0, 0], programs[0].said + programs[1].said
    scope.finish()
    assert [program.wait() for program in run()] == [0, 0]
    assert len(scope.records("triggers")) == 1
