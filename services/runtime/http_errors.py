"""The HTTP twin of the gRPC edge: the same errors, as JSON with the status of the same meaning."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from services.runtime.error_table import answer_to
from services.runtime.log import get_log
from services.runtime.tracing import current_traceparent, new_traceparent, trace_id_of

_log = get_log(__name__)


@web.middleware
async def error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors with `{"error": {"reason", "message", "facts", "trace_id"}}`."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        text = error.text or error.reason
        trace_id = trace_id_of(current_traceparent())
        return _json(error.status, _reason_of(error), text, {}, trace_id, headers)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        return _answer(request, error)


def _answer(request: web.Request, error: Exception) -> web.StreamResponse:
    answer = answer_to(error)
    # The route's pattern, not the path: paths carry tokens.
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else ""
    # A request that nobody traced still gets an id, so that its answer and its line can be joined.
    trace_id = trace_id_of(current_traceparent() or new_traceparent())
    if not answer.expected:
        _log.error(
            "request_failed",
            method=request.method,
            route=route,
            trace_id=trace_id,
            exc_info=error,
        )
    elif answer.http_status == 503:
        _log.warning(
            "request_unavailable", route=route, reason=answer.reason, cause=type(error).__name__
        )
    headers = {"Retry-After": str(max(round(answer.retry_after_s), 1))}
    return _json(
        answer.http_status,
        answer.reason,
        answer.message,
        answer.facts,
        trace_id,
        headers if answer.retry_after_s else None,
    )


def _json(
    status: int,
    reason: str,
    message: str,
    facts: Mapping[str, str],
    trace_id: str,
    headers: Mapping[str, str] | None,
) -> web.Response:
    error = {
        "reason": reason,
        "message": message,
        "facts": dict(facts),
        "trace_id": trace_id,
    }
    return web.json_response({"error": error}, status=status, headers=headers)


def _reason_of(error: web.HTTPException) -> str:
    return error.reason.upper().replace(" ", "_").replace("-", "_")
