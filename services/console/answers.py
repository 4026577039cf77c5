"""Answers errors as a page, as a part of one, or as JSON: whatever the request can show."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from services.console.errors import Told, told_of
from services.console.render import is_fragment, render
from services.console.who import language_of
from services.runtime.log import get_log
from services.runtime.tracing import current_traceparent, new_traceparent, trace_id_of

_log = get_log(__name__)
# What a person opened: there the error takes the place of the content.
_ASKED_FOR = re.compile(r"modal-body|payload-[0-9a-f-]{36}")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error in the reader's language, with its reason and a trace id."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _answer(request, error)
    except (asyncio.CancelledError, ConnectionResetError):
        raise
    except Exception as error:
        return _answer(request, error)


def _answer(request: web.Request, error: Exception) -> web.StreamResponse:
    told = told_of(error, language_of(request))
    trace_id = trace_id_of(current_traceparent() or new_traceparent())
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else ""
    if not told.expected:
        _log.error("request_failed", route=route, trace_id=trace_id, exc_info=error)
    elif told.status == 503:
        _log.warning("request_unavailable", route=route, reason=told.reason)
    response = _shown(request, told, trace_id)
    if isinstance(error, web.HTTPMethodNotAllowed):
        response.headers["Allow"] = error.headers["Allow"]
    if told.retry_after_s:
        response.headers["Retry-After"] = str(max(round(told.retry_after_s), 1))
    return response


def _shown(request: web.Request, told: Told, trace_id: str) -> web.Response:
    if is_fragment(request):
        response = render(request, "parts/alert.html", status=told.status, told=told)
        response.headers.update(_place(request))
        return response
    if not _wants_page(request):
        error = {
            "reason": told.reason,
            "message": told.message,
            "facts": dict(told.facts),
            "trace_id": trace_id,
        }
        return web.json_response({"error": error}, status=told.status)
    return render(request, "error.html", status=told.status, told=told, trace_id=trace_id)


def _wants_page(request: web.Request) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _place(request: web.Request) -> dict[str, str]:
    """Tell htmx where the page wants to read it."""
    target = request.headers.get("HX-Target", "")
    if request.method == "POST" and request.path.startswith("/tools/"):
        return {"HX-Retarget": "#run-error", "HX-Reswap": "innerHTML"}
    if request.method == "POST":
        return {"HX-Retarget": "#toasts", "HX-Reswap": "beforeend"}
    if _ASKED_FOR.fullmatch(target):
        return {"HX-Retarget": f"#{target}", "HX-Reswap": "innerHTML"}
    # A part that was fetched again by itself stays as it was last known.
    return {"HX-Reswap": "none"}
