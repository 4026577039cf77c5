"""Sends one HTTP request and says, by fact and not by kind of error, how far it got.

The moment is taken once the connection stands and just before its first byte: whatever fails
earlier was never sent, whatever fails later may have been received.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from services.runninghub.connection import HttpConnection, Reply, ReplyTimeoutError
from services.runninghub.exchange import Exchange, Headers, MediaNote, Transport
from services.runninghub.pool import ConnectionPool, Origin, origin_of

BeforeFirstByte = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One request to send. `body` is recorded; of a `stream` only `media` is.

    `connect_timeout_s` bounds waiting for a free connection, DNS, TCP and TLS;
    `reply_timeout_s` runs from the first byte of the request to the last of the reply.
    A connection that has idled for more than `max_idle_s` at its first byte is not used. The
    length of a stream is in the headers.
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
    max_idle_s: float = math.inf
    before_first_byte: BeforeFirstByte | None = None


class IdleConnectionError(OSError):
    """The connection closed or grew old before the first byte; nothing was sent."""


@dataclass(slots=True)
class _Progress:
    """How far one call got; filled in as it goes."""

    outgoing: Outgoing
    reply: Reply
    headers: Headers = ()
    sent: bool = False
    own_error: Exception | None = None

    async def exchange(self, pool: ConnectionPool) -> None:
        """Send, and read the whole reply."""
        outgoing = self.outgoing
        parts = urlsplit(outgoing.url)
        origin = origin_of(parts.scheme, parts.netloc)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        self.headers = _headers(outgoing, origin)
        request = _head(outgoing.method, target, self.headers) + outgoing.body
        connection = await pool.take(origin, outgoing.connect_timeout_s)
        try:
            await self._prepare(connection)
            # No await between the last look at the connection and its first byte.
            self.sent = True
            stream = self._stream() if outgoing.stream else None
            await connection.exchange(request, stream, self.reply, outgoing.reply_timeout_s)
        finally:
            pool.give_back(origin, connection)

    async def _prepare(self, connection: HttpConnection) -> None:
        """Run the caller's hook, then refuse a connection that is closed or grew old."""
        if self.outgoing.before_first_byte is not None:
            try:
                await self.outgoing.before_first_byte()
            except Exception as error:
                self.own_error = error
                raise
        if not await connection.settle():
            raise IdleConnectionError("the server closed the connection before its first byte")
        idle_s = time.monotonic() - connection.idle_since
        if idle_s > self.outgoing.max_idle_s:
            connection.close()
            raise IdleConnectionError(f"the connection idled {idle_s:.1f} s before its first byte")

    async def _stream(self) -> AsyncIterator[bytes]:
        """Pass the file on; an error of its source is ours, not the network's."""
        assert self.outgoing.stream is not None  # noqa: S101 - asked by the caller
        try:
            async for chunk in self.outgoing.stream():
                yield chunk
        except Exception as error:
            self.own_error = error
            raise


async def send(pool: ConnectionPool, outgoing: Outgoing) -> Exchange:
    """Send one request, once, and return the record of it. Network errors are values.

    Raises only what `before_first_byte` or the media's own source raised, and cancellation.
    """
    started_at, began = datetime.now(UTC), time.monotonic()
    progress = _Progress(outgoing, Reply(outgoing.max_reply_bytes))
    error = ""
    try:
        await progress.exchange(pool)
    except (OSError, ValueError) as caught:
        error = _describe(caught)
    except Exception:
        if progress.own_error is None:
            raise
    if progress.own_error is not None:
        raise progress.own_error
    return _record(progress, started_at, time.monotonic() - began, error)


def _headers(outgoing: Outgoing, origin: Origin) -> Headers:
    headers = [("Host", origin.authority), *outgoing.headers.items()]
    if outgoing.body:
        headers.append(("Content-Length", str(len(outgoing.body))))
    return tuple(headers)


def _head(method: str, target: str, headers: Headers) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in headers]]
    text = "\r\n".join(lines)
    # A key or a base URL that someone pasted with a line break must not become a header.
    if " " in target or text.count("\n") + text.count("\r") != 2 * (len(lines) - 1):
        raise ValueError("the URL or a header has a character that HTTP does not allow there")
    return f"{text}\r\n\r\n".encode("latin-1")


def _describe(error: Exception) -> str:
    """Say what broke; may hold the URL, so it is masked with the rest of the record."""
    if isinstance(error, ReplyTimeoutError):
        return str(error)
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _record(progress: _Progress, started_at: datetime, latency_s: float, error: str) -> Exchange:
    outgoing, reply = progress.outgoing, progress.reply
    broken = Transport.SENT_NO_REPLY if progress.sent else Transport.NEVER_SENT
    return Exchange(
        endpoint=outgoing.endpoint,
        method=outgoing.method,
        url=outgoing.url,
        request_headers=progress.headers or tuple(outgoing.headers.items()),
        request_body=outgoing.body,
        started_at=started_at,
        latency_s=latency_s,
        transport=broken if error else Transport.REPLIED,
        response_status=reply.status,
        response_headers=tuple(reply.headers),
        response_body=bytes(reply.body),
        is_truncated=reply.is_truncated,
        error=error,
        media=outgoing.media,
    )
