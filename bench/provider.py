"""A RunningHub that costs next to nothing: `python -m bench.provider`, the same for everybody.

One process, asyncio.Protocol on uvloop, no framework. It speaks the part of v2 that a run needs:
a start call is accepted with a task id, and on the next turn of the loop the TASK_END callback is
posted to the start's webhookUrl; a query finds the task finished, with one text result. All bodies
are about 2 KB. A callback that is answered with anything but 200 is sent again, a few times.

Prints one JSON line {"url": ...} when it listens. For the benchmark alone:
GET /stats answers counts; GET /times answers and forgets {"<ref>": monotonic_ns} of the arrival of
start calls, where a start call's ref is what follows "ref=" anywhere in its body, else its task id.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from collections import Counter
from typing import cast

from bench import bodies
from bench.callback_sender import CallbackSender
from bench.http_wire import BadMessageError, Cutter, Message, response

_WEBHOOK = re.compile(rb'"webhookUrl"\s*:\s*"([^"]+)"')
_TASK = re.compile(rb'"taskId"\s*:\s*"([0-9]+)"')
_REF = re.compile(rb"ref=([\w.:-]{1,80})")
# Task ids seen on the wire are strings of 19 digits that begin with 1 or 2.
_FIRST_TASK = 1_900_000_000_000_000_000
_NOT_FOUND = response(b"404 Not Found", b'{"code":404,"msg":"not here"}')
_BAD = response(b"400 Bad Request", b'{"code":400,"msg":"no HTTP that is spoken here"}')


class Provider:
    """Tasks, counted; each is finished as soon as it is accepted."""

    def __init__(self, sender: CallbackSender) -> None:
        self._sender = sender
        self._next = _FIRST_TASK + time.time_ns() // 1000
        self.counts: Counter[str] = Counter()
        self.times: dict[str, int] = {}

    def answer(self, message: Message) -> bytes:
        """Return the whole response to one request."""
        method, path = message.first.split(b" ", 2)[:2]
        if path.startswith(b"/openapi/v2/run/"):
            return self._start(message.body)
        if path == b"/openapi/v2/query":
            return self._query(message.body)
        if method == b"GET" and path == b"/stats":
            return response(b"200 OK", json.dumps({**self.counts, **self._sender.counts}).encode())
        if method == b"GET" and path == b"/times":
            times, self.times = self.times, {}
            return response(b"200 OK", json.dumps(times).encode())
        self.counts["unknown"] += 1
        return _NOT_FOUND

    def _start(self, body: bytes) -> bytes:
        arrived = time.monotonic_ns()
        self._next += 1
        task_id = str(self._next)
        ref = _REF.search(body)
        self.times[ref[1].decode() if ref else task_id] = arrived
        self.counts["starts"] += 1
        if url := _WEBHOOK.search(body):
            asyncio.get_running_loop().call_soon(
                self._sender.send, url[1].decode(), bodies.callback(task_id)
            )
        return response(b"200 OK", bodies.accepted(task_id))

    def _query(self, body: bytes) -> bytes:
        self.counts["queries"] += 1
        task = _TASK.search(body)
        if task is None:
            return response(b"200 OK", b'{"taskId":"","status":"","errorCode":"1004"}')
        return response(b"200 OK", bodies.succeeded(task[1].decode()))


class _Connection(asyncio.Protocol):
    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._cutter = Cutter()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None  # noqa: S101 - asyncio's own order of calls
        try:
            messages = self._cutter.feed(data)
        except BadMessageError:
            self._transport.write(_BAD)
            self._transport.close()
            return
        for message in messages:
            self._transport.write(self._provider.answer(message))
            if not message.keeps_alive:
                self._transport.close()


async def main() -> None:
    """Listen on a free loopback port until SIGTERM or until stdin closes."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_reader(sys.stdin.fileno(), ended.set)
    provider = Provider(CallbackSender())
    server = await loop.create_server(lambda: _Connection(provider), "127.0.0.1", 0, backlog=4096)
    host, port = server.sockets[0].getsockname()
    print(json.dumps({"url": f"http://{host}:{port}"}), flush=True)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
