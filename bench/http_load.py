"""Sends POSTs over kept connections, one under way on each: `python -m bench.http_load`.

A process of its own, so that it does not share a core's interpreter with anything. Reads
{"port", "requests", "connections", "body_bytes"} on stdin; answers {"seconds", "latencies_ms",
"bad"}.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

from bench import bodies
from bench.http_wire import Cutter, post


class _Sender(asyncio.Protocol):
    """One connection: sends, waits for the answer, sends again."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._cutter = Cutter()
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def begin(self) -> None:
        """Send the next request, if there is one left."""
        assert self._transport is not None  # noqa: S101 - asyncio's own order of calls
        request = self._work.take()
        if request is None:
            self._transport.close()
            return
        self._sent = time.monotonic()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        for message in self._cutter.feed(data):
            self._work.done(time.monotonic() - self._sent, message.first)
            self.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._work.lost()


class _Work:
    """What is left to send, and what came of the rest."""

    def __init__(self, requests: int, connections: int) -> None:
        self._left, self._open = requests, connections
        self.latencies_ms: list[float] = []
        self.bad = 0
        self.ended = asyncio.Event()

    def take(self) -> bytes | None:
        """Return one more request."""
        if not self._left:
            return None
        self._left -= 1
        body = bodies.callback(str(1_900_000_000_000_000_000 + self._left))
        path = b"/runninghub/%043d" % (self._left % 1000)
        return post(b"127.0.0.1", path, body)

    def done(self, seconds: float, status_line: bytes) -> None:
        """Count an answer."""
        self.latencies_ms.append(seconds * 1000)
        self.bad += status_line.split(b" ", 2)[1] != b"200"

    def lost(self) -> None:
        """Count a connection that ended."""
        self._open -= 1
        if not self._open:
            self.ended.set()


async def main() -> None:
    """Send all, answer, end."""
    asked = json.loads(sys.stdin.readline())
    loop = asyncio.get_running_loop()
    work = _Work(asked["requests"], asked["connections"])
    senders = []
    for _ in range(asked["connections"]):
        _, sender = await loop.create_connection(lambda: _Sender(work), "127.0.0.1", asked["port"])
        senders.append(sender)
    began = time.monotonic()
    for sender in senders:
        sender.begin()
    await work.ended.wait()
    seconds = time.monotonic() - began
    bad = work.bad + asked["requests"] - len(work.latencies_ms)
    print(json.dumps({"seconds": seconds, "latencies_ms": work.latencies_ms, "bad": bad}))


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
