"""One HTTP/1.1 connection: a request out, its reply in, and whether it may carry another one.

The replies are parsed by llhttp (httptools), strictly; nothing is repeated here.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

import httptools

# Of a reply's status line and headers together; aiohttp and nginx allow as much.
MAX_HEAD_BYTES = 64 * 1024
_SIZED = frozenset({"content-length", "transfer-encoding"})


class ReplyTimeoutError(TimeoutError):
    """The whole reply did not come in time."""


class BrokenReplyError(OSError):
    """The reply is no HTTP, or ended before its end."""


@dataclass(slots=True)
class Reply:
    """What has come of a reply; true at any moment, also where it broke off."""

    max_bytes: int
    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    is_truncated: bool = False


class HttpConnection(asyncio.Protocol):
    """Give it to `create_connection` over `sock`. One exchange at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._reply = Reply(0)
        # Set by the end of a reply; there is one only while an exchange is under way.
        self._done: asyncio.Future[None] | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._has_head = self._is_sized = self._may_stay = False
        self._head_bytes = 0
        # When it was last used, by `time.monotonic`.
        self.idle_since = time.monotonic()

    async def exchange(
        self,
        request: bytes,
        stream: AsyncIterator[bytes] | None,
        reply: Reply,
        timeout_s: float,
    ) -> None:
        """Send `request` and then the stream, and fill in the reply.

        Raises `ReplyTimeoutError`, another OSError, or what the stream raised. The connection is
        closed then, and after a reply that asks for it.
        """
        self._reply, self._done = reply, self._loop.create_future()
        self._has_head = self._is_sized = self._may_stay = False
        self._head_bytes = 0
        late = ReplyTimeoutError(f"no whole reply within {timeout_s:g} s")
        timer = self._loop.call_later(timeout_s, self._fail, late)
        pump: asyncio.Task[None] | None = None
        try:
            self._write(request)
            if stream is not None:
                pump = self._loop.create_task(self._pump(stream), name="upload")
            await self._done
        finally:
            timer.cancel()
            self._done = None
            self.idle_since = time.monotonic()
            if not self._may_stay or (pump is not None and not pump.done()):
                self.close()
            if pump is not None:
                pump.cancel()
                await asyncio.wait([pump])

    def close(self) -> None:
        """Close at once; what has not left is dropped."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    @property
    def is_open(self) -> bool:
        """Whether the loop knows of no end of this connection."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_silent(self) -> bool:
        """Whether it is open and nothing lies unread in its socket, not even its end."""
        if not self.is_open:
            return False
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    async def settle(self) -> bool:
        """Tell whether the connection is still open, of all that has come until now.

        What lies unread in the socket, such as the server's close, is read by the loop first.
        """
        if self.is_open and not self.is_silent:
            # Two turns: the loop looks at its sockets between them.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return self.is_open

    @property
    def _is_over(self) -> bool:
        """Whether the reply has ended, or was never asked for: what comes then is not its."""
        return self._done is None or self._done.done()

    def _write(self, data: bytes) -> None:
        if self._transport is None:
            raise ConnectionResetError("the connection is closed")
        self._transport.write(data)

    async def _pump(self, stream: AsyncIterator[bytes]) -> None:
        try:
            async for chunk in stream:
                self._write(chunk)
                await self._room.wait()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)

    def _break(self, words: str) -> None:
        """End a connection that says what it must not, maybe behind a reply that is whole."""
        self._fail(BrokenReplyError(words))
        self.close()

    def _finish(self, *, may_stay: bool) -> None:
        if self._done is not None and not self._done.done():
            self._may_stay = may_stay
            self._done.set_result(None)

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._done is None:
            self.close()  # nothing was asked
            return
        if not self._has_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._break("the server switched to another protocol")
        except httptools.HttpParserError as error:
            self._break(f"the reply is no HTTP: {error}")
        if not self._has_head and self._head_bytes > MAX_HEAD_BYTES:
            self._break(f"the reply's head is over {MAX_HEAD_BYTES} bytes")

    def eof_received(self) -> None:
        if self._has_head and not self._is_sized:
            self._finish(may_stay=False)  # the end of the connection is the end of the body
        self._fail(BrokenReplyError("the server closed the connection before its whole reply"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._room.set()
        self._fail(exc or BrokenReplyError("the connection ended before its whole reply"))

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._is_over:
            self.close()  # a second reply to one request

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # later ones are trailers
            self._reply.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._is_over:
            return
        if status < 200:
            self._reply.headers.clear()  # "go on" and the like; the reply is still to come
            return
        self._has_head = True
        self._is_sized = any(name.lower() in _SIZED for name, _ in self._reply.headers)
        self._reply.status = status

    def on_body(self, body: bytes) -> None:
        reply = self._reply
        if self._is_over:
            return
        reply.body += body
        if len(reply.body) > reply.max_bytes:
            del reply.body[reply.max_bytes :]
            reply.is_truncated = True
            self._finish(may_stay=False)

    def on_message_complete(self) -> None:
        if self._has_head:
            self._finish(may_stay=self._parser.should_keep_alive())
