"""The worker processes of this machine: started together, watched, restarted together.

Bytewax workers of one cluster live and die together: when one ends the others follow, and all start
again from the last common epoch. With peers elsewhere this machine has one of them, and theirs do the same.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flows.again import Restarts, wait_for_broker
from flows.copies import for_member
from flows.ending import AGAIN, CRASHED, INTERRUPTED, TROUBLE
from flows.peers import Peers
from flows.settings import Run
from flows.telemetry import log
from flows.telemetry.members import Members

PATIENCE = 20.0  # seconds that the other processes get to end by themselves


@contextmanager
def signals_kept() -> Iterator[None]:
    """`supervise` leaves its own handlers behind; who goes on after it has those of before again."""
    handlers = {it: signal.getsignal(it) for it in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def supervise(run: Run, config: str, workers: int, peers: Peers | None = None) -> int:
    """Run `workers` processes until they end; the exit code. Crashes restart all, with back-off."""
    children: list[subprocess.Popen[bytes]] = []
    members = Members(run.telemetry, run.shown, _free_ports)
    try:
        return _supervise(run, config, workers, children, members, peers)
    finally:
        members.close()


def _supervise(
    run: Run,
    config: str,
    workers: int,
    children: list[subprocess.Popen[bytes]],
    members: Members,
    peers: Peers | None,
) -> int:
    def stop(*_: object) -> None:
        run.stop.set()
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    restarts = Restarts()
    while True:
        restarts.began = time.monotonic()
        children[:] = _start(run, config, workers, members, peers)
        if run.stop.is_set():
            stop()
        code = wait_for(children, members)
        if code == 0 or (run.stop.is_set() and code < 0):
            return 0
        if code == TROUBLE:
            return TROUBLE
        members.restarted(_named(code))
        if code == AGAIN:
            log.say("an input topic has new partitions; all start again")
            continue
        pause = restarts.pause()
        if pause is None:
            log.say(f"{restarts.quick} crashes in a row, giving up; the cause is above", "ERROR")
            return 1
        log.say(
            f"a worker ended with {_named(code)}; all start again from the last common epoch in {pause:.1f} s"
        )
        if run.stop.wait(pause):
            return 0
        if code == INTERRUPTED and not wait_for_broker(run.brokers, run.stop):
            return INTERRUPTED


def _start(
    run: Run, config: str, workers: int, members: Members, peers: Peers | None
) -> list[subprocess.Popen[bytes]]:
    if peers is None:
        numbers, addresses = range(workers), [f"127.0.0.1:{port}" for port in _free_ports(workers)]
    else:
        numbers, addresses = range(peers.number, peers.number + 1), [*peers.addresses]
    lock = run.directory.lock_handle
    prepared = members.prepare(numbers)
    # What they print is Bytewax's: how workers find each other. It belongs neither between the results of a
    # command nor between log lines that are JSON.
    children = [
        subprocess.Popen(
            [
                sys.executable, "-m", "flows.member", config, run.brokers, str(run.state), run.on_gap,
                ";".join(addresses), str(index), str(run.rate),
            ],
            stdin=subprocess.PIPE,  # closes when this process dies, however it dies
            stdout=subprocess.DEVNULL if log.format_used() == "json" else 2,
            pass_fds=[lock, beat],
            env={**os.environ, **more, **for_member(run.copying)},
        )
        for index, (more, beat) in zip(numbers, prepared, strict=True)
    ]  # fmt: skip
    for _, beat in prepared:
        os.close(beat)
    return children


def wait_for(children: list[subprocess.Popen[bytes]], members: Members) -> int:
    """The exit code that ended them: the first that is not 0, else 0. Of several that ended between two looks
    the one that tells most: who only follows another ends with CRASHED."""
    listened = time.monotonic()
    while all(child.poll() is None for child in children):
        if members.interval and time.monotonic() - listened > members.interval:
            listened = time.monotonic()
            members.listen(children)
        try:
            children[0].wait(0.05)
        except subprocess.TimeoutExpired:
            pass
    ended = [child.returncode for child in children if child.poll()]
    cause = min(ended, key=lambda code: code == CRASHED, default=0)
    until = time.monotonic() + PATIENCE
    for child in children:
        try:
            child.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    codes = [child.returncode for child in children]
    known = next((code for code in (TROUBLE, INTERRUPTED) if code in codes), 0)
    return known or cause or next((code for code in codes if code), 0)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _named(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def follow_parent() -> None:
    """In a child: end when standard input closes, because the supervisor is gone."""
    # Not sys.stdin: the thread would hold its lock when the process ends, and Python aborts on that.
    while os.read(0, 1024):
        pass
    os._exit(1)
