"""The embedded broker: librdkafka's mock cluster, for trying oncue out. It keeps nothing.

It holds at most 5 MiB and 100,000 batches per partition, in memory, forgets the oldest beyond that, makes
any topic that is asked for with 4 partitions, and treats transactions as if they had no meaning.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from types import TracebackType

from confluent_kafka import Producer

PARTITIONS = 4


def host() -> tuple[Producer, str]:
    """Start it in this process: the client that keeps it alive, and its bootstrap address."""
    client = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1, "log_level": 2})
    broker = next(iter(client.list_topics(timeout=10).brokers.values()))
    return client, f"{broker.host}:{broker.port}"


def serve() -> None:
    """Host it, print its address as one line, and stay until a signal comes or, where standard input is
    a pipe, whoever holds the other end is gone."""
    client, address = host()
    print(address, flush=True)
    with suppress(KeyboardInterrupt):
        if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
            sys.stdin.read()
        else:
            signal.pause()
    del client


class Embedded:
    """The embedded broker in a process of its own, for as long as the `with` block lasts."""

    def __enter__(self) -> Embedded:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "flows.broker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.bootstrap = self._process.stdout.readline().strip()
        if not self.bootstrap:
            raise RuntimeError("the embedded broker did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    serve()
