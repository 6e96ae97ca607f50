"""Traces that follow a single event: taken, resolved, worked on, and what went out because of it.

An event takes part when it came with a W3C `traceparent` header that says it is sampled, and the sampler
(OTEL_TRACES_SAMPLER) agrees. Imported only where traces are exported; others do not even look at headers.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from operators.effects import Effect

HEADER = "traceparent"
REMEMBERED = 20_000  # events that may still cause something, such as the end of a wait
_FORM = re.compile(rb"[0-9a-e][0-9a-f]-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")

_SAMPLED, _SCOPE = TraceFlags(TraceFlags.SAMPLED), InstrumentationScope("oncue")
OFFSET, MESSAGE = "messaging.kafka.offset", "messaging.message.id"
CUT, STEP, RULE, REASON = "oncue.cut", "oncue.step", "oncue.rule", "oncue.reason"
RECEIVE, INTERNAL, SEND = SpanKind.CONSUMER, SpanKind.INTERNAL, SpanKind.PRODUCER


class Traces:
    """A context is a traceparent as text; "" stands for none. `now()` is in ns, as spans have it."""

    now = staticmethod(time.time_ns)

    def __init__(self, resource: Resource, exporter: SpanExporter | None = None) -> None:
        self._resource = _Once(resource.attributes, resource.schema_url)
        # Without a sampler of one's own the sender's flag decides; OpenTelemetry's says so too, for 10 µs.
        chosen = os.environ.get("OTEL_TRACES_SAMPLER", "parentbased_always_on") != "parentbased_always_on"
        self._sampler = TracerProvider(resource=resource).sampler if chosen else None
        self._processor = BatchSpanProcessor(exporter or OTLPSpanExporter())
        self._new_id = RandomIdGenerator().generate_span_id
        self._causes: dict[str, str] = {}

    def incoming(self, headers: list[tuple[str, Any]]) -> str:
        """The context that a record came with, if it is to be followed."""
        for name, value in headers:
            if name == HEADER:
                found = _FORM.fullmatch(value or b"")
                if found is None or not found[1].strip(b"0") or not found[2].strip(b"0"):
                    return ""
                sampled = int(found[3], 16) & 1 and self._samples(found[1], found[2])
                return found[0].decode() if sampled else ""
        return ""

    def _samples(self, trace_id: bytes, span_id: bytes) -> bool:
        if self._sampler is None:
            return True
        number = int(trace_id, 16)
        parent = NonRecordingSpan(SpanContext(number, int(span_id, 16), True, _SAMPLED))
        asked = self._sampler.should_sample(trace.set_span_in_context(parent), number, "receive", RECEIVE)
        return asked.decision is Decision.RECORD_AND_SAMPLE

    def span(
        self, name: str, kind: SpanKind, parent: str, start: int, end: int, about: dict[str, Any]
    ) -> str:
        """Note what was done from `start` to `end`, in ns; its context.

        The span is made as it is exported: a tracer's `start_span` and `end` take ten times as long, for
        what an operation that is over does not need.
        """
        if not parent:
            return ""
        _, trace_id, span_id, _ = parent.split("-")
        trace_number, mine = int(trace_id, 16), self._new_id()
        self._processor.on_end(
            ReadableSpan(
                name,
                SpanContext(trace_number, mine, False, _SAMPLED),
                SpanContext(trace_number, int(span_id, 16), True, _SAMPLED),
                self._resource,
                about,
                kind=kind,
                instrumentation_scope=_SCOPE,
                start_time=start,
                end_time=end,
            )
        )
        return f"00-{trace_id}-{mine:016x}-01"

    def received(self, topic: str, partition: int, offset: int, cut: int, parent: str, since: int) -> str:
        """Taken from a topic and put into the order."""
        about = {**_messaging("receive", topic, partition), OFFSET: offset, CUT: cut}
        return self.span(f"receive {topic}", RECEIVE, parent, since, self.now(), about)

    def worked(self, step: str, parent: str, start: int, end: int, cut: int) -> str:
        """One step, on the batch that the event was in."""
        return self.span(step, INTERNAL, parent, start, end, {STEP: step, CUT: cut})

    def sent(self, effect: Effect, topic: str, partition: int) -> Effect:
        """Handed to a transaction: the record goes out with the context of this."""
        now = self.now()
        about = {
            **_messaging("send", topic, partition),
            MESSAGE: effect.id, RULE: effect.group, REASON: effect.reason,
        }  # fmt: skip
        return effect._replace(trace=self.span(f"send {topic}", SEND, effect.trace, now, now, about))

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
        self._processor.force_flush(3000)
        self._processor.shutdown()


class _Once(Resource):
    """The exporter asks every span's resource for its hash, and Resource writes all of itself as JSON for it:
    a quarter of the time that a span takes to be exported."""

    __hash__ = object.__hash__


def _messaging(operation: str, topic: str, partition: int) -> dict[str, Any]:
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": str(partition),
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
    }
