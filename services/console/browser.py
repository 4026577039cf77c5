"""One stream to one browser: written to without waiting, and let go when it does not read."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from aiohttp import HttpVersion11, web

from services.console.changes import Changes, Flush
from services.console.frame import PING, Frame, frame_of, told

PING_S = 15.0
# A browser that takes nothing for so long is gone; it comes back by itself if it is not.
STALL_S = 120.0
# What the kernel keeps of what a browser does not read.
SEND_BUFFER_BYTES = 64 * 1024
_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


class Browser(asyncio.Protocol):
    """A stream that is open. `gone` is set when either side has ended it.

    It stands between the connection and aiohttp's protocol, which gets all it got before: so the
    end of a connection is known at once, and that there is room again without waiting for it.
    What does not fit into the connection is coalesced here, and told when there is room.
    """

    def __init__(self, transport: asyncio.Transport, *, is_chunked: bool) -> None:
        self.gone = asyncio.Event()
        self._inner = cast(asyncio.Protocol, transport.get_protocol())
        self._transport = transport
        self._is_chunked = is_chunked
        self._is_full = False
        self._owed: Changes | None = None
        self._loop = asyncio.get_running_loop()
        self._stall: asyncio.TimerHandle | None = None
        self._ping = self._loop.call_later(PING_S, self._send_ping)
        transport.set_protocol(self)
        # Full means: the kernel did not take all of it.
        transport.set_write_buffer_limits(high=0)

    def tell(self, frame: Frame, flush: Flush) -> None:
        """Send a frame; a connection that is full is told later what `flush` says."""
        if self._is_full or self._owed is not None:
            self._owe(flush)
        else:
            self._write(frame)

    def end(self) -> None:
        """End the stream from this side."""
        if self._is_full:
            self._transport.abort()
        self._leave()

    def _write(self, frame: Frame) -> None:
        if not self.gone.is_set():
            self._transport.write(frame.chunk if self._is_chunked else frame.bare)

    def _owe(self, flush: Flush) -> None:
        if self._owed is None:
            self._owed = Changes()
        self._owed.add(flush)

    def _pay(self) -> None:
        if self._owed is None or self._is_full:
            return
        flush, self._owed = self._owed.take(), None
        self._write(frame_of(told(flush)))

    def _send_ping(self) -> None:
        self._ping = self._loop.call_later(PING_S, self._send_ping)
        if not self._is_full:
            self._write(PING)

    def _leave(self) -> None:
        self._ping.cancel()
        if self._stall is not None:
            self._stall.cancel()
        self._owed = None
        self.gone.set()

    # What the transport tells.

    def data_received(self, data: bytes) -> None:
        """Pass on."""
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """Note that the connection takes no more."""
        self._is_full = True
        self._stall = self._loop.call_later(STALL_S, self._transport.abort)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Tell what came meanwhile."""
        self._is_full = False
        if self._stall is not None:
            self._stall.cancel()
        self._inner.resume_writing()
        # Not from within the transport's own writing.
        self._loop.call_soon(self._pay)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the browser has left."""
        self._leave()
        self._inner.connection_lost(exc)


async def open_stream(request: web.Request) -> tuple[web.StreamResponse, Browser]:
    """Begin the answer to a browser. Raises `ConnectionResetError` where it has left already."""
    response = web.StreamResponse(headers=_HEADERS)
    # The connection carries nothing else after it.
    response.force_close()
    await response.prepare(request)
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the browser has left")
    _bound(transport)
    return response, Browser(transport, is_chunked=request.version >= HttpVersion11)


def _bound(transport: asyncio.Transport) -> None:
    """Bound what the kernel keeps of a browser that does not read, and for how long."""
    connection = transport.get_extra_info("socket")
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; a browser that vanished without a word
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALL_S * 1000))
