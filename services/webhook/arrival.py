"""What a callback is between its arrival and its answer, whichever edge it came by."""

from __future__ import annotations

import uuid

from opentelemetry.trace import SpanKind

from services.runtime.errors import UnavailableError
from services.runtime.log import get_log
from services.runtime.tracing import LightSpan, start_span

log = get_log(__name__)

_ROUTE = "/runninghub/{token}"
_NAME = f"POST {_ROUTE}"


def start_callback_span() -> LightSpan:
    """Start the span of a callback: a root, since traces of the internet are not believed."""
    return start_span(_NAME, parent="", kind=SpanKind.SERVER)


def end_callback_span(span: LightSpan, status: int) -> None:
    """Close the span of a callback that is answered now."""
    if span.is_recording():
        span.set_attributes(
            {
                "http.request.method": "POST",
                "http.route": _ROUTE,
                "http.response.status_code": status,
            }
        )
        if status >= 500:
            span.fail(str(status))
    span.end()


def status_of(error: BaseException, delivery_id: uuid.UUID) -> int:
    """Return the status that answers a callback which could not be kept."""
    if not isinstance(error, UnavailableError):
        # Full disk, missing table: whatever it is, nothing was stored.
        log.error("callback_refused", delivery_id=str(delivery_id), status=503, exc_info=error)
    return 503
