"""W3C trace contexts as text: read tolerantly, written exactly. Knows no exporter."""

from __future__ import annotations

import random
import re

from opentelemetry.trace import SpanContext, TraceFlags

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_LONGEST = 512
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def new_traceparent() -> str:
    """Return the traceparent of a new trace, for work that nothing active started."""
    return format_traceparent(child_of(None))


def parse_traceparent(text: str) -> SpanContext | None:
    """Read a W3C traceparent; None for anything malformed. Never raises."""
    match = _TRACEPARENT.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5]):
        return None
    trace_id, span_id = int(match[2], 16), int(match[3], 16)
    if not trace_id or not span_id:
        return None
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(int(match[4], 16)))


def format_traceparent(context: SpanContext) -> str:
    """Write a span's context as a W3C traceparent."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def plain_traceparent(text: str) -> str:
    """Return a W3C traceparent as this package writes it; empty for anything malformed."""
    context = parse_traceparent(text)
    return format_traceparent(context) if context else ""


def trace_id_of(traceparent: str) -> str:
    """Return the 32 hex digits of the trace; empty for anything malformed."""
    context = parse_traceparent(traceparent)
    return f"{context.trace_id:032x}" if context else ""


def child_of(above: SpanContext | None) -> SpanContext:
    """Make the context of a new span: in the trace of `above`, or of a new, sampled trace."""
    span_id = _some(64)
    if above is not None:
        return SpanContext(above.trace_id, span_id, is_remote=False, trace_flags=above.trace_flags)
    return SpanContext(_some(128), span_id, is_remote=False, trace_flags=_SAMPLED)


def _some(bits: int) -> int:
    return random.getrandbits(bits) or 1
