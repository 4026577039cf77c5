"""W3C trace contexts as text: read tolerantly, written exactly. Knows no exporter."""

from __future__ import annotations

import random
import re

from opentelemetry.trace import SpanContext, TraceFlags

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_LONGEST = 512
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def new_traceparent() -> str:
    """Return the traceparent of a new trace, for work that nothing active started."""
    return format_traceparent(child_of(None))


def parse_traceparent(text: str) -> SpanContext | None:
    """Read a W3C traceparent; None for anything malformed. Never raises."""
    match = _read(text)
    if match is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in match.group(2, 3, 4))
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))


def format_traceparent(context: SpanContext) -> str:
    """Write a span's context as a W3C traceparent."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def plain_traceparent(text: str) -> str:
    """Return a W3C traceparent as this package writes it; empty for anything malformed."""
    match = _read(text)
    return "00-{}-{}-{}".format(*match.group(2, 3, 4)) if match else ""


def trace_id_of(traceparent: str) -> str:
    """Return the 32 hex digits of the trace; empty for anything malformed."""
    match = _read(traceparent)
    return match[2] if match else ""


def _read(text: str) -> re.Match[str] | None:
    match = _TRACEPARENT.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5]):
        return None
    return None if match[2] == _NO_TRACE or match[3] == _NO_SPAN else match


def child_of(above: SpanContext | None) -> SpanContext:
    """Make the context of a new span: in the trace of `above`, or of a new, sampled trace."""
    span_id = _some(64)
    if above is not None:
        return SpanContext(above.trace_id, span_id, is_remote=False, trace_flags=above.trace_flags)
    return SpanContext(_some(128), span_id, is_remote=False, trace_flags=_SAMPLED)


def _some(bits: int) -> int:
    return random.getrandbits(bits) or 1
