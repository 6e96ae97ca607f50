"""Traces that follow a single event: taken, resolved, worked on, and what went out because of it.

An event takes part when it came with a W3C `traceparent` header that says it is sampled, and the sampler
(OTEL_TRACES_SAMPLER) agrees. Imported only where traces are exported; others do not even look at headers.
"""

from __future__ import annotations

import re
import time
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from operators.effects import Effect

HEADER = "traceparent"
REMEMBERED = 20_000  # events that may still cause something, such as the end of a wait
_FORM = re.compile(rb"[0-9a-e][0-9a-f]-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")

RECEIVE, INTERNAL, SEND = SpanKind.CONSUMER, SpanKind.INTERNAL, SpanKind.PRODUCER


class Traces:
    """A context is a traceparent as text; "" stands for none. `now()` is in ns, as spans have it."""

    now = staticmethod(time.time_ns)

    def __init__(self, resource: Resource, exporter: SpanExporter | None = None) -> None:
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("oncue")
        self._causes: dict[str, str] = {}

    def incoming(self, headers: list[tuple[str, Any]]) -> str:
        """The context that a record came with, if it is to be followed."""
        for name, value in headers:
            if name == HEADER:
                found = _FORM.fullmatch(value or b"")
                if found is None or not found[1].strip(b"0") or not found[2].strip(b"0"):
                    return ""
                return found[0].decode() if int(found[3], 16) & 1 else ""
        return ""

    def span(self, name: str, kind: SpanKind, parent: str, start: int, end: int, **about: Any) -> str:
        """Note what was done from `start` to `end`; its context, "" where the sampler declines.

        In `about`, `__` stands for the dots of an attribute's name.
        """
        if not parent:
            return ""
        _, trace_id, span_id, flags = parent.split("-")
        remote = SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16)))
        span = self._tracer.start_span(
            name,
            trace.set_span_in_context(NonRecordingSpan(remote)),
            kind,
            {key.replace("__", "."): value for key, value in about.items()},
            start_time=start,
        )
        if not span.is_recording():
            return ""
        span.end(end)
        mine = span.get_span_context()
        return f"00-{mine.trace_id:032x}-{mine.span_id:016x}-01"

    def received(self, topic: str, partition: int, offset: int, cut: int, parent: str, since: int) -> str:
        """Taken from a topic and put into the order."""
        return self.span(
            f"receive {topic}", RECEIVE, parent, since, self.now(),
            **_about(topic, partition), messaging__operation__type="receive",
            messaging__operation__name="receive", messaging__kafka__offset=offset, oncue__cut=cut,
        )  # fmt: skip

    def worked(self, step: str, parent: str, start: int, end: int, cut: int) -> str:
        """One step, on the batch that the event was in."""
        return self.span(step, INTERNAL, parent, start, end, oncue__step=step, oncue__cut=cut)

    def sent(self, effect: Effect, topic: str, partition: int) -> Effect:
        """Handed to a transaction: the record goes out with the context of this."""
        now = self.now()
        context = self.span(
            f"send {topic}", SEND, effect.trace, now, now,
            **_about(topic, partition), messaging__operation__type="send",
            messaging__operation__name="send", messaging__message__id=effect.id,
            oncue__rule=effect.group, oncue__reason=effect.reason,
        )  # fmt: skip
        return effect._replace(trace=context)

    def remember(self, causes: tuple[str, ...], context: str) -> None:
        """What an effect names as its cause, so that it can be joined to the trace later on."""
        self._causes |= {cause: context for cause in causes if cause}
        while len(self._causes) > REMEMBERED:
            del self._causes[next(iter(self._causes))]

    def of(self, cause: str) -> str:
        return self._causes.get(cause, "")

    @property
    def any(self) -> bool:
        return bool(self._causes)

    def close(self) -> None:
        self._provider.force_flush(3000)
        self._provider.shutdown()


def _about(topic: str, partition: int) -> dict[str, Any]:
    return {
        "messaging__system": "kafka",
        "messaging__destination__name": topic,
        "messaging__destination__partition__id": str(partition),
    }
