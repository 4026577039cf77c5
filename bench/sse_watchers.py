"""A thousand browsers that watch one job: `python -m bench.sse_watchers`, by raw sockets.

When data arrived is read from the kernel (SO_TIMESTAMPNS), so that reading a thousand sockets one
after the other is no part of what is measured. Speaks the protocol of contestants:
{"do": "open", "port", "path", "count"} answers when all streams are live;
{"do": "wait", "seq"} answers {"last_ns"} of CLOCK_REALTIME when all have that event's number.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from typing import Any

from bench.answering import Handler, answer_requests

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python has no name for it
_ID = re.compile(rb"^id: (\d+)\r?$", re.MULTILINE)
_TAIL_BYTES = 4096
_TIMEOUT_S = 60.0


class Browser:
    """One stream."""

    def __init__(self, audience: Audience, port: int, path: str) -> None:
        self._audience = audience
        self._tail = b""
        self._is_live = False
        self._seq = 0
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Accept: text/event-stream\r\n\r\n".encode()
        )
        self.socket.setblocking(False)

    def read(self) -> None:
        """Take what is there."""
        data, extra, _, _ = self.socket.recvmsg(65536, 256)
        if not data:
            raise ConnectionError("the console ended a stream")
        text = self._tail + data
        self._tail = text[-_TAIL_BYTES:]
        if not self._is_live and b'"live"' in text:
            self._is_live = True
            self._audience.live += 1
            self._audience.changed.set()
        seqs = [int(found) for found in _ID.findall(text)]
        if seqs and max(seqs) > self._seq:
            self._seq = max(seqs)
            self._audience.saw(self._seq, _arrival_ns(extra))


class Audience:
    """All of them."""

    def __init__(self) -> None:
        self._browsers: list[Browser] = []
        self._seen: dict[int, int] = {}
        self._last_ns: dict[int, int] = {}
        self.live = 0
        self.changed = asyncio.Event()

    async def open(self, port: int, path: str, count: int) -> dict[str, Any]:
        """Open the streams and wait until all of them say that they are live."""
        loop = asyncio.get_running_loop()
        for _ in range(count):
            browser = Browser(self, port, path)
            self._browsers.append(browser)
            loop.add_reader(browser.socket.fileno(), browser.read)
            await asyncio.sleep(0)
        await self._until(lambda: self.live == count)
        return {"open": count}

    async def wait(self, seq: int) -> dict[str, Any]:
        """Wait until all have seen an event of this number."""
        await self._until(lambda: self._seen.get(seq, 0) == len(self._browsers))
        return {"last_ns": self._last_ns[seq]}

    def saw(self, seq: int, at_ns: int) -> None:
        """Count one who has seen an event."""
        self._seen[seq] = self._seen.get(seq, 0) + 1
        self._last_ns[seq] = max(self._last_ns.get(seq, 0), at_ns)
        if self._seen[seq] == len(self._browsers):
            self.changed.set()

    async def _until(self, is_done: Any) -> None:
        async with asyncio.timeout(_TIMEOUT_S):
            while not is_done():
                self.changed.clear()
                await self.changed.wait()


def _arrival_ns(extra: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in extra:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            return int(seconds * 1_000_000_000 + nanoseconds)
    raise RuntimeError("this kernel gives no arrival times")


async def main() -> None:
    """Answer requests until there are no more."""
    audience = Audience()
    handlers: dict[str, Handler] = {"open": audience.open, "wait": audience.wait}
    await answer_requests({"ready": True, "versions": {}}, handlers)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
