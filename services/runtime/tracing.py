"""The only set-up of OpenTelemetry: W3C contexts, light spans, and their export where wanted.

A context with valid ids is always there, so every log line has a trace id; spans are built and
exported only where OTEL_EXPORTER_OTLP_ENDPOINT (or its _TRACES_ form) is set. The SDK's tracer
costs three times as much as these spans, so only its batching and its exporter are used.
No baggage: it is unbounded and may carry personal data.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any

import grpc
from grpc import aio
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
UNTRACED = ("/grpc.health.", "/grpc.reflection.")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SCOPE = InstrumentationScope("etapa")
_NO_LINKS: tuple[Link, ...] = ()

Attributes = Mapping[str, AttributeValue]


class _Sink:
    """Where finished spans of this process go; nowhere until tracing is set up."""

    processor: SpanProcessor | None = None
    resource: Resource | None = None


_SINK = _Sink()


def set_up_tracing(service: str, env: Mapping[str, str]) -> Callable[[], None]:
    """Start exporting if an endpoint is set. Returns what flushes and stops it.

    Call it once per process, after any fork.
    """
    if not any(env.get(name, "").strip() for name in ENDPOINTS):
        return lambda: None
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    processor = BatchSpanProcessor(OTLPSpanExporter())
    return record_to(processor, Resource.create({"service.name": f"etapa-{service}"}))


def record_to(processor: SpanProcessor, resource: Resource) -> Callable[[], None]:
    """Send finished spans to a processor; returns what flushes and stops it."""
    _SINK.processor, _SINK.resource = processor, resource

    def stop() -> None:
        if _SINK.processor is processor:
            _SINK.processor, _SINK.resource = None, None
        processor.shutdown()

    return stop


class LightSpan(trace.NonRecordingSpan):
    """A span of ours. `with span:` makes it current; hold it around awaits, never a yield."""

    def __init__(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        links: tuple[Link, ...],
        kind: SpanKind,
        attributes: Attributes | None,
        start_ns: int = 0,
    ) -> None:
        super().__init__(context)
        self._recording = _SINK.processor is not None and context.trace_flags.sampled
        if self._recording:
            self._name, self._parent, self._links, self._kind = name, parent, links, kind
            self._attributes: dict[str, AttributeValue] = dict(attributes or {})
            self._start_ns = start_ns or time.time_ns()
            self._status = Status(StatusCode.UNSET)

    @property
    def trace_id(self) -> str:
        """32 hex digits."""
        return f"{self.get_span_context().trace_id:032x}"

    @property
    def traceparent(self) -> str:
        """The W3C header value that names this span."""
        return format_traceparent(self.get_span_context())

    def is_recording(self) -> bool:
        """Tell whether attributes are worth computing."""
        return self._recording

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Add one attribute."""
        if self._recording:
            self._attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Add attributes."""
        if self._recording:
            self._attributes.update(attributes)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set ok or error."""
        if self._recording:
            self._status = status if isinstance(status, Status) else Status(status, description)

    def fail(self, error_type: str, description: str = "") -> None:
        """Mark as failed, with the low-cardinality `error.type` of the conventions."""
        if self._recording:
            self._attributes["error.type"] = error_type
            self._status = Status(StatusCode.ERROR, description or None)

    def end(self, end_time: int | None = None) -> None:
        """Close the span; a second call does nothing."""
        processor = _SINK.processor
        if not self._recording or processor is None:
            return
        self._recording = False
        processor.on_end(
            ReadableSpan(
                name=self._name,
                context=self.get_span_context(),
                parent=self._parent,
                resource=_SINK.resource,
                attributes=self._attributes,
                links=self._links,
                kind=self._kind,
                instrumentation_scope=_SCOPE,
                status=self._status,
                start_time=self._start_ns,
                end_time=end_time or time.time_ns(),
            )
        )

    def __enter__(self) -> LightSpan:
        self._token = otel_context.attach(trace.set_span_in_context(self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        otel_context.detach(self._token)
        if error is not None:
            self.fail(type(error).__qualname__)
        self.end()


def start_span(
    name: str,
    *,
    parent: str | None = None,
    links: Sequence[str] = (),
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
) -> LightSpan:
    """Make a span to be used as `with start_span(…) as span:`.

    `parent` is a traceparent; None takes the current span, and an empty or malformed one starts
    a new trace. `links` are traceparents; malformed ones are left out.
    """
    above = _current() if parent is None else parse_traceparent(parent)
    return LightSpan(name, _child_of(above), above, _links(links), kind, attributes)


def record_span(
    name: str,
    start: datetime,
    end: datetime,
    *,
    parent: str | None = None,
    links: Sequence[str] = (),
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    error_type: str = "",
) -> str:
    """Record a span of the past from stored (aware) times; returns its traceparent."""
    above = _current() if parent is None else parse_traceparent(parent)
    start_ns = _nanoseconds(start)
    span = LightSpan(name, _child_of(above), above, _links(links), kind, attributes, start_ns)
    if error_type:
        span.fail(error_type)
    span.end(max(_nanoseconds(end), start_ns))
    return span.traceparent


def current_traceparent() -> str:
    """Return the traceparent of the current span; empty where none is active."""
    context = _current()
    return format_traceparent(context) if context else ""


def new_traceparent() -> str:
    """Return the traceparent of a new trace, for work that nothing active started."""
    return format_traceparent(_child_of(None))


def parse_traceparent(text: str) -> SpanContext | None:
    """Read a W3C traceparent; None for anything malformed. Never raises."""
    match = _TRACEPARENT.fullmatch(text.strip()) if len(text) <= 512 else None
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5]):
        return None
    trace_id, span_id = int(match[2], 16), int(match[3], 16)
    if not trace_id or not span_id:
        return None
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(int(match[4], 16)))


def format_traceparent(context: SpanContext) -> str:
    """Write a span's context as a W3C traceparent."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def trace_id_of(traceparent: str) -> str:
    """Return the 32 hex digits of the trace; empty for anything malformed."""
    context = parse_traceparent(traceparent)
    return f"{context.trace_id:032x}" if context else ""


class RpcSpan:
    """The span of one RPC, on either side."""

    __slots__ = ("_span", "trace_id")

    def __init__(self, span: LightSpan) -> None:
        self._span = span
        self.trace_id = span.trace_id

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a client sends along."""
        return (("traceparent", self._span.traceparent),)

    def end(self, code: grpc.StatusCode, error: BaseException | None = None) -> None:
        """Close the span with the RPC's final status; all but OK are errors (semconv RPC)."""
        span = self._span
        if span.is_recording():
            span.set_attribute("rpc.status_code", code.name)
            if code is not grpc.StatusCode.OK:
                span.fail(code.name)
        span.end()


class _NoRpcSpan:
    trace_id = ""

    def end(self, code: grpc.StatusCode, error: BaseException | None = None) -> None:
        """Do nothing: health and reflection are not traced."""


_NO_RPC_SPAN = _NoRpcSpan()


def start_server_span(method: str, context: aio.ServicerContext[Any, Any]) -> RpcSpan | _NoRpcSpan:
    """Start the span of a call that arrived, and make it current for the rest of this task."""
    if method.startswith(UNTRACED):
        return _NO_RPC_SPAN
    above = _incoming(context)
    name = method[1:]
    attributes = {"rpc.system.name": "grpc", "rpc.method": name}
    span = LightSpan(name, _child_of(above), above, _NO_LINKS, SpanKind.SERVER, attributes)
    # grpc.aio gives every RPC its own task and so its own context: there is nothing to detach.
    otel_context.attach(trace.set_span_in_context(span))
    return RpcSpan(span)


class ClientTracer:
    """Spans of the SDK's calls: `EtapaClient(..., tracer=ClientTracer())`."""

    def start(self, method: str, address: str) -> RpcSpan:
        """Start the span of one call, which covers all its attempts."""
        above = _current()
        host, _, port = address.rpartition(":")
        attributes: dict[str, AttributeValue] = {
            "rpc.system.name": "grpc",
            "rpc.method": method,
            "server.address": host,
        }
        if port.isdigit():
            attributes["server.port"] = int(port)
        return RpcSpan(
            LightSpan(method, _child_of(above), above, _NO_LINKS, SpanKind.CLIENT, attributes)
        )


def _incoming(context: aio.ServicerContext[Any, Any]) -> SpanContext | None:
    for key, value in context.invocation_metadata() or ():
        if key == "traceparent" and isinstance(value, str):
            return parse_traceparent(value)
    return None


def _current() -> SpanContext | None:
    context = trace.get_current_span().get_span_context()
    return context if context.is_valid else None


def _child_of(above: SpanContext | None) -> SpanContext:
    span_id = random.getrandbits(64) or 1
    if above is not None:
        return SpanContext(above.trace_id, span_id, is_remote=False, trace_flags=above.trace_flags)
    trace_id = random.getrandbits(128) or 1
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=_SAMPLED)


def _links(traceparents: Sequence[str]) -> tuple[Link, ...]:
    if not traceparents:
        return _NO_LINKS
    found = (parse_traceparent(text) for text in traceparents)
    return tuple(Link(context) for context in found if context is not None)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
