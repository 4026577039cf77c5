"""Posts the provider's callbacks over a bounded pool of kept connections, one call on each."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from bench.http_wire import Cutter, post

MAX_CONNECTIONS = 64
_ATTEMPTS = 6
_PAUSE_S = 0.05


@dataclass(slots=True)
class _Call:
    host: str
    port: int
    request: bytes
    attempt: int = 1


@dataclass(slots=True)
class _Pool:
    """The connections to one host, and what waits for one of them."""

    idle: list[_Channel] = field(default_factory=list)
    waiting: deque[_Call] = field(default_factory=deque)
    size: int = 0


class CallbackSender:
    """Sends callbacks; counts what became of them."""

    def __init__(self, most: int = MAX_CONNECTIONS) -> None:
        self._most = most
        self._pools: dict[tuple[str, int], _Pool] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self.counts: Counter[str] = Counter()

    def send(self, url: str, body: bytes) -> None:
        """Post a body, as soon as a connection is free."""
        parts = urlsplit(url)
        host, port = parts.hostname or "127.0.0.1", parts.port or 80
        request = post(parts.netloc.encode(), parts.path.encode(), body)
        self._put(_Call(host, port, request))

    def ended(self, channel: _Channel, call: _Call, *, is_kept: bool) -> None:
        """Take a connection back after a 200, and give it the next call."""
        self.counts["callbacks"] += 1
        pool = self._pools[call.host, call.port]
        if not is_kept:
            channel.close()
            self._drop(pool)
        elif pool.waiting:
            channel.start(pool.waiting.popleft())
        else:
            pool.idle.append(channel)

    def failed(self, channel: _Channel, call: _Call) -> None:
        """Drop the connection and send the callback again after a pause, a few times."""
        channel.close()
        self._drop(self._pools[call.host, call.port])
        self._again(call)

    def lost(self, channel: _Channel) -> None:
        """Forget a connection that the other side closed while nothing was under way."""
        for pool in self._pools.values():
            if channel in pool.idle:
                pool.idle.remove(channel)
                self._drop(pool)

    def _drop(self, pool: _Pool) -> None:
        """Count a connection out; what waits gets another one."""
        pool.size -= 1
        if pool.waiting:
            self._put(pool.waiting.popleft())

    def _put(self, call: _Call) -> None:
        pool = self._pools.setdefault((call.host, call.port), _Pool())
        if pool.idle:
            pool.idle.pop().start(call)
        elif pool.size < self._most:
            pool.size += 1
            task = asyncio.ensure_future(self._open(pool, call))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        else:
            pool.waiting.append(call)

    async def _open(self, pool: _Pool, call: _Call) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, channel = await loop.create_connection(lambda: _Channel(self), call.host, call.port)
        except OSError:
            self._drop(pool)
            self._again(call)
        else:
            channel.start(call)

    def _again(self, call: _Call) -> None:
        if call.attempt >= _ATTEMPTS:
            self.counts["callbacks_given_up"] += 1
            return
        self.counts["callbacks_repeated"] += 1
        call.attempt += 1
        asyncio.get_running_loop().call_later(_PAUSE_S * call.attempt, self._put, call)


class _Channel(asyncio.Protocol):
    """One kept connection with at most one call under way."""

    def __init__(self, sender: CallbackSender) -> None:
        self._sender = sender
        self._cutter = Cutter()
        self._call: _Call | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def start(self, call: _Call) -> None:
        """Write one request."""
        self._call = call
        if self._transport is not None:
            self._transport.write(call.request)

    def data_received(self, data: bytes) -> None:
        for message in self._cutter.feed(data):
            call, self._call = self._call, None
            if call is None:
                continue
            if message.first.split(b" ", 2)[1] == b"200":
                self._sender.ended(self, call, is_kept=message.keeps_alive)
            else:
                self._sender.failed(self, call)

    def connection_lost(self, exc: Exception | None) -> None:
        call, self._call = self._call, None
        if call is not None:
            self._sender.failed(self, call)
        else:
            self._sender.lost(self)

    def close(self) -> None:
        """Close; harmless when it is closed already."""
        if self._transport is not None:
            self._transport.close()
