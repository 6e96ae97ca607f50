"""What a library writes to its logger, as lines of the process like all others."""

from __future__ import annotations

import logging
import time

from flows.telemetry import log

AGAIN = 60.0  # seconds before the same is said again: an exporter complains with every attempt


class Relay(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: dict[str, float] = {}  # by what was written, before anything was filled in

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now - self._said.get(record.msg, -AGAIN) >= AGAIN:
            self._said[record.msg] = now
            log.say(record.getMessage(), "WARN", **{"oncue.logger": record.name})


def use(library: str) -> None:
    """From now on, in this process."""
    logger = logging.getLogger(library)
    logger.handlers = [Relay()]
    logger.propagate = False
