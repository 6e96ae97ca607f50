"""CloudEvents 1.0 in Kafka's binary mode: attributes as `ce_` headers."""

from __future__ import annotations

from operators.effects import Effect
from schemas import topics
from schemas.moments import rfc3339

ID, CUT, SOURCE = "ce_id", "oncue_cut", "ce_source"
_INTERNAL = (topics.MOVES, topics.CONTROL)

Headers = list[tuple[str, str | bytes | None]]


def header(effect: Effect, cut: int, source: str, now: int) -> Headers:
    """Headers of an output record. `now`: wall clock in ms, for `ce_recordedtime` and the latency."""
    always: Headers = [(ID, effect.id.encode()), (CUT, str(cut).encode())]
    if effect.topic in _INTERNAL:
        return always
    found = [
        *always,
        ("ce_specversion", b"1.0"),
        ("ce_type", effect.type.encode()),
        (SOURCE, source.encode()),
        ("ce_subject", effect.key.encode()),
        ("ce_recordedtime", timestamp(now)),
        ("content-type", b"application/json"),
    ]
    if effect.at > 0:
        found.append(("ce_time", timestamp(effect.at)))
    if effect.cause:
        found.append(("ce_causationid", effect.cause.encode()))
    if effect.correlation:
        found.append(("ce_correlationid", effect.correlation.encode()))
    if effect.expires:
        found.append(("ce_expirytime", timestamp(effect.expires)))
    if effect.trace:
        found.append(("traceparent", effect.trace.encode()))
    if effect.arrived:
        found.append(("oncue_latency_ms", str(max(0, now - effect.arrived)).encode()))
    return found


def made_in(space: str) -> str:
    """The `source` of what the run of a space sends, wherever to."""
    return f"oncue/{space}"


def timestamp(ms: int) -> bytes:
    return rfc3339(ms).encode()
