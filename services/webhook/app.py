"""Callbacks by aiohttp: bytes in, commit, 200. It looks at no body and knows no token.

Plain ones do not come as far (`front.py`); this is for all others, in whatever form HTTP has.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from services.runtime.ids import new_id, token_hash
from services.runtime.tracing import LightSpan
from services.webhook.arrival import end_callback_span, start_callback_span, status_of
from services.webhook.domain import (
    KEPT_OF_OVERSIZED_BYTES,
    Delivery,
    hide_token,
    join_headers,
)
from services.webhook.inbox import Inbox
from services.webhook.reply import reply_to

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
        span = start_callback_span()
        status = 500
        try:
            status = await self._receive(request, span)
        finally:
            end_callback_span(span, status)
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
        except Exception as error:
            return status_of(error, delivery.delivery_id)
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
