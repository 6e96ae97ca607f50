"""`oncue` that dies, as by kill -9, at a place that a random moment seldom hits.

    python -m tests.crash.doomed PLACE COUNT run --config ...

ends when the place is passed for the COUNT-th time. What is patched is patched here: the program itself
knows nothing of this. PLACE `clock` does not kill: there the machine's clock goes back an hour.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows import again, cli, sink, writer
from flows.orderlog import OrderLog
from flows.writer import Writer
from schemas import topics
from state import store
from state.points import Points
from state.store import Store

HOUR = 3600.0
Hit = Callable[[], None]


def acknowledged(hit: Hit) -> None:
    """The broker has the cut, its events are not released."""
    before(OrderLog, "confirm", lambda *_: hit())


def uncommitted(hit: Hit) -> None:
    """Output is on the broker in a transaction that nobody has committed."""

    def sent(commit: Any) -> None:
        commit.__self__.flush()
        hit()

    before(writer, "_insist", sent)


def emitted(hit: Hit) -> None:
    """Output was committed, and no snapshot knows."""
    after(Writer, "_commit", lambda *_: hit())


def moving(hit: Hit) -> None:
    """A move is in the topic, and has not come back."""
    moves = topics.output("", topics.MOVES)
    after(Writer, "_commit", lambda _, batch: any(it.topic.endswith(moves) for it in batch) and hit())


def checkpointed(hit: Hit) -> None:
    """One step has its checkpoint, the others may not."""
    after(Store, "checkpoint", lambda *_: hit())


def restoring(hit: Hit) -> None:
    """A store was being made from its checkpoint: half of the files are there."""

    def link(checkpoint: Path, live: Path) -> None:
        files = sorted(checkpoint.iterdir())
        live.mkdir()
        for file in files[: len(files) // 2]:
            os.link(file, live / file.name)
        hit()
        for file in live.iterdir():
            file.unlink()
        live.rmdir()
        whole(checkpoint, live)

    whole, store._link = store._link, link


def fenced(hit: Hit) -> None:
    """The predecessor is fenced, its output was not read back."""
    before(sink, "_read_back", lambda *_: hit())


def read_back(hit: Hit) -> None:
    """The output was read back, nothing was sent."""
    after(sink, "_read_back", lambda *_: hit())


def settled(hit: Hit) -> None:
    """A position was kept that a new start could go on from."""
    after(Points, "keep", lambda *_: hit())


def clock(hit: Hit) -> None:
    """The clock goes back an hour; once, also for the process that takes this one's place."""
    if again._COUNT in os.environ:
        return
    true = time.time
    gone: list[int] = []
    time.time = lambda: true() - HOUR * bool(gone)
    before(OrderLog, "confirm", lambda *_: gone.append(1))


PLACES = (
    acknowledged, uncommitted, emitted, moving, checkpointed, restoring, fenced, read_back, settled, clock,
)  # fmt: skip


def before(owner: Any, name: str, do: Callable[..., Any]) -> None:
    whole = getattr(owner, name)

    def wrapped(*given: Any, **more: Any) -> Any:
        do(*given)
        return whole(*given, **more)

    setattr(owner, name, wrapped)


def after(owner: Any, name: str, do: Callable[..., Any]) -> None:
    whole = getattr(owner, name)

    def wrapped(*given: Any, **more: Any) -> Any:
        result = whole(*given, **more)
        do(*given)
        return result

    setattr(owner, name, wrapped)


def main() -> None:
    place, left = sys.argv[1], [int(sys.argv[2])]
    sys.argv[1:3] = []

    def hit() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    next(it for it in PLACES if it.__name__ == place)(hit)
    cli.main()


if __name__ == "__main__":
    main()
