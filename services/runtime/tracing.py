"""The only set-up of OpenTelemetry: W3C contexts, light spans, and their export where wanted.

A context with valid ids is always there, so every log line has a trace id; spans are built and
exported only where OTEL_EXPORTER_OTLP_ENDPOINT (or its _TRACES_ form) is set. The SDK's tracer
costs three times as much as these spans, so only its batching and its exporter are used.
No baggage: it is unbounded and may carry personal data.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import grpc
from grpc import aio
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import Link, SpanContext, SpanKind
from opentelemetry.util.types import AttributeValue

from services.runtime.errors import SettingsError
from services.runtime.spans import Attributes, LightSpan, record_to
from services.runtime.traceparent import (
    child_of,
    format_traceparent,
    new_traceparent,
    parse_traceparent,
    trace_id_of,
)

__all__ = [
    "ClientTracer",
    "LightSpan",
    "current_traceparent",
    "format_traceparent",
    "new_traceparent",
    "parse_traceparent",
    "record_span",
    "record_to",
    "set_up_tracing",
    "start_server_span",
    "start_span",
    "trace_id_of",
]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
FLUSH_S = 2.0
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
# A span about the arrival of spans would cause the next one, for ever.
UNTRACED = ("/grpc.health.", "/grpc.reflection.", "/opentelemetry.proto.collector.")
_NO_LINKS: tuple[Link, ...] = ()


def set_up_tracing(service: str, env: Mapping[str, str]) -> Callable[[], None]:
    """Start exporting if an endpoint is set. Returns what flushes and stops it.

    Call it once per process, after any fork. Raises SettingsError for a protocol but gRPC.
    """
    endpoint = next((env[name].strip() for name in ENDPOINTS if env.get(name, "").strip()), "")
    if not endpoint or env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return lambda: None
    _need_grpc(env)
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from services.runtime.otlp import LightExporter

    exporter = LightExporter(endpoint=endpoint)
    resource = Resource.create({"service.name": f"etapa-{service}"})
    stop = record_to(BatchSpanProcessor(exporter), resource)

    def flush() -> None:
        # The exporter would go on trying for its whole time-out where no collector answers.
        give_up = threading.Timer(FLUSH_S, exporter.shutdown)
        give_up.start()
        stop()
        give_up.cancel()

    return flush


def _need_grpc(env: Mapping[str, str]) -> None:
    for name in PROTOCOLS:
        protocol = env.get(name, "").strip()
        if protocol not in ("", "grpc"):
            raise SettingsError([f"{name}={protocol!r}: traces leave by OTLP over gRPC only"])


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
    return LightSpan(name, child_of(above), above, _links(links), kind, attributes)


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
    span = LightSpan(name, child_of(above), above, _links(links), kind, attributes, start_ns)
    if error_type:
        span.fail(error_type)
    span.end(max(_nanoseconds(end), start_ns))
    return span.traceparent


def current_traceparent() -> str:
    """Return the traceparent of the current span; empty where none is active."""
    context = _current()
    return format_traceparent(context) if context else ""


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
        """Do nothing: see UNTRACED."""


_NO_RPC_SPAN = _NoRpcSpan()


def start_server_span(method: str, context: aio.ServicerContext[Any, Any]) -> RpcSpan | _NoRpcSpan:
    """Start the span of a call that arrived, and make it current for the rest of this task."""
    if method.startswith(UNTRACED):
        return _NO_RPC_SPAN
    above = _incoming(context)
    name = method[1:]
    attributes = {"rpc.system.name": "grpc", "rpc.method": name}
    span = LightSpan(name, child_of(above), above, _NO_LINKS, SpanKind.SERVER, attributes)
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
            LightSpan(method, child_of(above), above, _NO_LINKS, SpanKind.CLIENT, attributes)
        )


def _incoming(context: aio.ServicerContext[Any, Any]) -> SpanContext | None:
    for key, value in context.invocation_metadata() or ():
        if key == "traceparent" and isinstance(value, str):
            return parse_traceparent(value)
    return None


def _current() -> SpanContext | None:
    context = trace.get_current_span().get_span_context()
    return context if context.is_valid else None


def _links(traceparents: Sequence[str]) -> tuple[Link, ...]:
    if not traceparents:
        return _NO_LINKS
    found = (parse_traceparent(text) for text in traceparents)
    return tuple(Link(context) for context in found if context is not None)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
