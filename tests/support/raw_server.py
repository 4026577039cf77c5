"""A server of raw sockets whose every move a test writes out: replies, resets, silence."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Received:
    """One request as it came."""

    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        """The request line."""
        return self.head.split(b"\r\n", 1)[0].decode()

    def header(self, name: str) -> str:
        """A header's value, "" where it is absent."""
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return ""


@dataclass
class RawServer:
    """What the server saw. `stray` are bytes that came outside of whole requests.

    `asked` is set by the first whole request, `done` by a client that closed.
    """

    scheme: str = "http"
    port: int = 0
    connections: int = 0
    requests: list[Received] = field(default_factory=list)
    stray: bytes = b""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"{self.scheme}://127.0.0.1:{self.port}"


class Peer:
    """One connection, seen from the server."""

    def __init__(
        self, server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server, self.reader, self.writer = server, reader, writer

    async def read_request(self) -> Received:
        """Read one whole request with its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        received = Received(head, b"")
        received.body = await self.reader.readexactly(int(received.header("Content-Length") or 0))
        self.server.requests.append(received)
        self.server.asked.set()
        return received

    async def reply(
        self, body: bytes, status: str = "200 OK", headers: str = "", length: int | None = None
    ) -> None:
        """Write one reply; `length` lies about the body's."""
        size = len(body) if length is None else length
        self.writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{headers}\r\n".encode())
        self.writer.write(body)
        with suppress(ConnectionError):
            await self.writer.drain()

    def reset(self) -> None:
        """Drop the connection."""
        self.writer.transport.abort()

    async def read_to_end(self) -> None:
        """Read what still comes until the client closes."""
        with suppress(ConnectionError):
            while chunk := await self.reader.read(65536):
                self.server.stray += chunk
        self.server.done.set()


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def raw_server(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """Serve every connection by the script on a free loopback port; end with all of them."""
    state = RawServer(scheme="https" if tls else "http")
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await script(Peer(state, reader, writer))
        except asyncio.CancelledError:
            return  # the test is over
        finally:
            tasks.discard(task)
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    state.port = listener.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listener.wait_closed()
