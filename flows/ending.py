"""What a person is told when an error ends the dataflow, and as the last thing.

Bytewax passes an error on by letting Rust panic, which prints lines of its own. So the cause is said where it
leaves our code, and what libraries print from then on, until Bytewax has come to its end, is kept back.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

from flows.kafka import Away, Interrupted
from flows.orderlog import Superseded
from flows.telemetry import log
from operators.identity import BrokenGraph
from schemas.mendable import Mendable

LOST = "thread panic"  # what Bytewax says when the connection to another worker breaks
# Exit codes. After all but TROUBLE the same command continues.
CRASHED = 1
TROUBLE = 2  # something that a person has to mend
CLOCK_WENT_BACK = 75
AGAIN = 76  # ended cleanly, to be started again: an input topic has more partitions
STOPPED = 130  # by Ctrl-C or SIGTERM, of what has no other end
INTERRUPTED = 77  # the broker is away, or broke off what was under way


class Ending:
    """Of one dataflow. `code` is None until an error was told."""

    def __init__(self) -> None:
        self.code: int | None = None
        self._stderr: tuple[int, TextIO] | None = None

    def tell(self, error: BaseException) -> None:
        """The first error; what follows from it is not told."""
        if self.code is None:
            self.code = explain(error)
            self._hush()

    def close(self) -> None:
        """Standard error is again for all."""
        if self._stderr is not None:
            own, python = self._stderr
            sys.stderr.close()
            sys.stderr = python
            os.dup2(own, 2)
            os.close(own)
            self._stderr = None

    def _hush(self) -> None:
        """Only Python's own goes to standard error."""
        sys.stderr.flush()
        own = os.dup(2)
        self._stderr = own, sys.stderr
        sys.stderr = os.fdopen(os.dup(own), "w", buffering=1, errors="backslashreplace")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)


def explain(error: BaseException) -> int:
    """Print what a person needs of an error that ended the dataflow; the exit code."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Interrupted | Away):
            log.say(cause, "ERROR")
            return INTERRUPTED
        if isinstance(cause, Mendable | Superseded | BrokenGraph):
            log.say(cause, "ERROR")
            return TROUBLE
        cause = cause.__cause__ or cause.__context__
    if LOST in str(error):
        log.say("the other workers of this run are gone", "ERROR")
        return CRASHED
    log.defect(error)
    return CRASHED
