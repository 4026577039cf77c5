"""Sends one HTTP request and says, by fact and not by kind of error, how far it got.

The moment is taken inside the request itself, after the connection stands and just before its
first byte: whatever fails earlier was never sent, whatever fails later may have been received.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp.client_reqrep import ClientRequest

from services.runninghub.exchange import Exchange, Headers, MediaNote, Transport

BeforeFirstByte = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One request to send. `body` is recorded; of a `stream` only `media` is.

    `connect_timeout_s` bounds waiting for a free connection, DNS, TCP and TLS;
    `reply_timeout_s` runs from the first byte of the request to the last of the reply.
    """

    endpoint: str
    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""
    stream: Callable[[], AsyncIterator[bytes]] | None = None
    media: MediaNote | None = None
    connect_timeout_s: float
    reply_timeout_s: float
    max_reply_bytes: int
    max_idle_s: float
    before_first_byte: BeforeFirstByte | None = None


class IdleConnectionError(aiohttp.ClientConnectionError):
    """The connection closed or grew old before the first byte; nothing was sent."""


@dataclass(slots=True)
class _Progress:
    """How far one call got; filled in as it goes."""

    outgoing: Outgoing
    deadline: asyncio.Timeout
    sent: bool = False
    headers: Headers = ()
    status: int | None = None
    reply_headers: Headers = ()
    body: bytearray = field(default_factory=bytearray)
    is_truncated: bool = False
    own_error: Exception | None = None

    async def before_first_byte(self, conn: Any) -> None:
        """Run the caller's hook, then refuse a connection that is closed or grew old."""
        if self.outgoing.before_first_byte is not None:
            await self._run_hook(self.outgoing.before_first_byte)
        if conn.transport is None or conn.transport.is_closing():
            raise IdleConnectionError("the server closed the connection before its first byte")
        self.sent = True
        now = asyncio.get_running_loop().time()
        self.deadline.reschedule(now + self.outgoing.reply_timeout_s)

    async def _run_hook(self, hook: BeforeFirstByte) -> None:
        began = time.monotonic()
        try:
            await hook()
        except Exception as error:
            self.own_error = error
            raise
        idle_s = time.monotonic() - began
        if idle_s > self.outgoing.max_idle_s:
            raise IdleConnectionError(f"the connection idled {idle_s:.1f} s before its first byte")

    async def stream(self) -> AsyncIterator[bytes]:
        """Pass the file on; an error of its source is ours, not the network's."""
        if self.outgoing.stream is None:
            return
        try:
            async for chunk in self.outgoing.stream():
                yield chunk
        except Exception as error:
            self.own_error = error
            raise


class _WatchedRequest(ClientRequest):
    """A request that reports the moment of its first byte."""

    progress: _Progress | None = None

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        if self.progress is None:
            return await super().send(conn)
        await self.progress.before_first_byte(conn)
        try:
            return await super().send(conn)
        finally:
            # Only now: aiohttp adds the last headers while it sends.
            self.progress.headers = tuple(self.headers.items())


def new_session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """Return a session whose requests can be sent by `send`. It owns its connector."""
    return aiohttp.ClientSession(
        connector=connector,
        request_class=_WatchedRequest,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


async def send(session: aiohttp.ClientSession, outgoing: Outgoing) -> Exchange:
    """Send one request, once, and return the record of it. Network errors are values.

    Raises only what `before_first_byte` or the media's own source raised, and cancellation.
    """
    started_at, began = datetime.now(UTC), time.monotonic()
    progress = _Progress(outgoing, asyncio.timeout(None))
    error = ""
    try:
        async with progress.deadline:
            await _exchange(session, progress)
    except (aiohttp.ClientError, OSError, ValueError) as caught:
        if progress.own_error is None:
            error = _describe(caught, progress)
    except RuntimeError as caught:
        # Under uvloop a failed connect may raise it, and aiohttp does for a closed session.
        if progress.own_error is None and progress.sent:
            raise
        error = _describe(caught, progress)
    if progress.own_error is not None:
        raise progress.own_error
    return _record(progress, started_at, time.monotonic() - began, error)


async def _exchange(session: aiohttp.ClientSession, progress: _Progress) -> None:
    outgoing = progress.outgoing

    async def watch(
        request: ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if isinstance(request, _WatchedRequest):
            request.progress = progress
        return await handler(request)

    connect_s = outgoing.connect_timeout_s
    async with session.request(
        outgoing.method,
        outgoing.url,
        headers=outgoing.headers,
        data=progress.stream() if outgoing.stream else outgoing.body or None,
        allow_redirects=False,
        middlewares=(watch,),
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s),
    ) as response:
        progress.status = response.status
        progress.reply_headers = tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in response.raw_headers
        )
        await _read_body(response, progress)


async def _read_body(response: aiohttp.ClientResponse, progress: _Progress) -> None:
    limit = progress.outgoing.max_reply_bytes
    async for chunk in response.content.iter_any():
        progress.body += chunk
        if len(progress.body) > limit:
            del progress.body[limit:]
            progress.is_truncated = True
            response.close()
            return


def _describe(error: Exception, progress: _Progress) -> str:
    """Say what broke; may hold the URL, so it is masked with the rest of the record."""
    if progress.deadline.expired():
        return f"no whole reply within {progress.outgoing.reply_timeout_s:g} s"
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _record(progress: _Progress, started_at: datetime, latency_s: float, error: str) -> Exchange:
    outgoing = progress.outgoing
    transport = Transport.SENT_NO_REPLY if progress.sent else Transport.NEVER_SENT
    return Exchange(
        endpoint=outgoing.endpoint,
        method=outgoing.method,
        url=outgoing.url,
        request_headers=progress.headers or tuple(outgoing.headers.items()),
        request_body=outgoing.body,
        started_at=started_at,
        latency_s=latency_s,
        transport=transport if error else Transport.REPLIED,
        response_status=progress.status,
        response_headers=progress.reply_headers,
        response_body=bytes(progress.body),
        is_truncated=progress.is_truncated,
        error=error,
        media=outgoing.media,
    )
