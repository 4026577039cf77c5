"""The gateway's HTTP edge: bytes in, commit, 200. It looks at no body and knows no token."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web
from opentelemetry.trace import SpanKind

from services.runtime.errors import UnavailableError
from services.runtime.ids import new_id, token_hash
from services.runtime.log import get_log
from services.runtime.tracing import LightSpan, start_span
from services.webhook.domain import (
    KEPT_OF_OVERSIZED_BYTES,
    Delivery,
    hide_token,
    join_headers,
)
from services.webhook.inbox import Inbox
from services.webhook.reply import reply_to

log = get_log(__name__)

ROUTES = ("/runninghub/{token}", "/runninghub/video/{token}")


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a body may be, and how long all of it may take to arrive."""

    max_bytes: int
    read_timeout_s: float


class CallbackEdge:
    """Handlers of the callback routes."""

    def __init__(self, inbox: Inbox, limits: Limits) -> None:
        self._inbox = inbox
        self._limits = limits

    def add_to(self, app: web.Application) -> None:
        """Add the routes; other methods are answered 405."""
        for route in ROUTES:
            app.router.add_post(route, self.receive)

    async def receive(self, request: web.Request) -> web.Response:
        """Keep whatever came: known, unknown, repeated, late and malformed alike."""
        # A root of its own: what the internet says about our traces is not believed.
        span = start_span("POST /runninghub/{token}", parent="", kind=SpanKind.SERVER)
        status = 500
        try:
            status = await self._receive(request, span)
        finally:
            _end(span, status)
        return reply_to(request, status)

    async def _receive(self, request: web.Request, span: LightSpan) -> int:
        content = request.content
        try:
            if content.is_eof() and content.exception() is None:
                body = content.read_nowait()
                size, is_whole = len(body), len(body) <= self._limits.max_bytes
            else:
                body, size, is_whole = await self._read(request)
        except TimeoutError:
            return 408
        except (web.RequestPayloadError, ConnectionError):  # the latter: its sender has gone
            return 400
        if not is_whole:
            body = body[:KEPT_OF_OVERSIZED_BYTES]
        delivery = _delivery(request, body, size, span.traceparent, is_too_large=not is_whole)
        try:
            await self._inbox.keep(delivery)
        except UnavailableError:
            return 503
        except Exception:
            # Full disk, missing table: whatever it is, nothing was stored.
            log.exception("callback_refused", delivery_id=str(delivery.delivery_id), status=503)
            return 503
        return 200 if is_whole else 413

    async def _read(self, request: web.Request) -> tuple[bytes, int, bool]:
        """Return the body, the bytes seen, and whether the body is whole within the limit."""
        most = self._limits.max_bytes
        declared = request.content_length or 0
        # Of a body that says it is too large only the part that is kept need be read.
        enough = KEPT_OF_OVERSIZED_BYTES if declared > most else most + 1
        body = bytearray()
        async with asyncio.timeout(self._limits.read_timeout_s):
            while len(body) < enough and (piece := await request.content.readany()):
                body += piece
        return bytes(body), len(body), len(body) <= most and declared <= most


def _delivery(
    request: web.Request, body: bytes, size: int, traceparent: str, *, is_too_large: bool
) -> Delivery:
    return Delivery(
        delivery_id=new_id(),
        token_hash=token_hash(request.match_info["token"]),
        target=hide_token(request.raw_path).encode("utf-8", "surrogateescape"),
        headers=join_headers(request.raw_headers),
        body=body,
        body_bytes=size,
        is_too_large=is_too_large,
        received_at=datetime.now(UTC),
        traceparent=traceparent,
    )


def _end(span: LightSpan, status: int) -> None:
    if span.is_recording():
        span.set_attributes(
            {
                "http.request.method": "POST",
                "http.route": "/runninghub/{token}",
                "http.response.status_code": status,
            }
        )
        if status >= 500:
            span.fail(str(status))
    span.end()
