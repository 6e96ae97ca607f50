"""What a supervisor makes of members that end, and of those that say nothing."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from flows.supervise import wait_for
from flows.telemetry import server
from flows.telemetry.members import STARTING, Child, Members
from flows.telemetry.settings import Settings
from flows.telemetry.watchdog import LOOKS

STUCK = 60.0  # seconds


@pytest.fixture
def members() -> Iterator[Members]:
    members = Members(Settings(stuck=STUCK), "shop", lambda count: [])
    yield members
    members.close()


def shell(command: str) -> Child:
    return subprocess.Popen(["sh", "-c", command])


def test_the_reason_is_what_ended_the_first_not_those_that_follow_it(members: Members) -> None:
    children = [shell("exit 1"), shell("kill -9 $$"), shell("exit 1")]
    for child in children:
        child.wait()
    assert wait_for(children, members) == -signal.SIGKILL


def test_why_a_member_does_not_answer_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as paused:  # takes connections, says nothing
        port = paused.getsockname()[1]
        assert server.ask(port, "/readyz") == (0, "does not answer: timed out")
    assert server.ask(port, "/readyz") == (0, "does not serve: it starts, or has just ended")


def test_a_member_that_falls_silent_is_killed(members: Members) -> None:
    (_, beat), (_, other) = members.prepare([0, 1])
    children = [shell("exec sleep 60"), shell("exec sleep 60")]
    os.write(beat, b".")
    for _ in range(2 * LOOKS + 1):
        os.write(other, b".")
        members.listen(children)
    assert children[0].poll() is None
    members.listen(children)
    assert children[0].wait() == -signal.SIGKILL
    assert children[1].poll() is None, "only this one"
    children[1].kill()
    children[1].wait()


def test_a_member_that_never_says_a_word_is_killed_when_it_should_have_started(members: Members) -> None:
    members.prepare([0])
    children = [shell("exec sleep 60")]
    looks = round(STARTING / members.interval) + 2 * LOOKS
    for _ in range(looks):
        members.listen(children)
    assert children[0].poll() is None
    members.listen(children)
    assert children[0].wait() == -signal.SIGKILL
