"""What a process says on standard error: one line a fact, as text or as JSON.

JSON lines are for log collectors: `timestamp`, `severity`, `body`, the attributes of the process
(`service.name`, `oncue.scope`, ...) and of the fact, and where it is about one event that is traced, its
`trace_id` and `span_id`.
"""

from __future__ import annotations

import json
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Literal

Severity = Literal["INFO", "WARN", "ERROR"]

FORMATS = ("text", "json")
_about: dict[str, Any] | None = None


def use(format: str, **about: Any) -> None:
    """From now on, in this process. `about` is on every JSON line."""
    global _about
    _about = {"service.name": "oncue", **about} if format == "json" else None


def format_used() -> str:
    return "text" if _about is None else "json"


def say(body: object, severity: Severity = "INFO", trace: str = "", **facts: Any) -> None:
    """`trace` is a traceparent."""
    if _about is None:
        print(f"oncue: {body}", file=sys.stderr, flush=True)
        return
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line: dict[str, Any] = {"timestamp": moment, "severity": severity, "body": str(body), **_about, **facts}
    if trace:
        _, line["trace_id"], line["span_id"], _ = trace.split("-")
    print(json.dumps(line), file=sys.stderr, flush=True)


def defect(error: BaseException) -> None:
    """An error that nobody foresaw, with where it came from."""
    where = "".join(traceback.format_exception(error))
    if _about is None:
        print(where, end="", file=sys.stderr, flush=True)
    else:
        say(
            f"{type(error).__name__}: {error}", "ERROR",
            **{"exception.type": type(error).__name__, "exception.stacktrace": where},
        )  # fmt: skip
