"""Connections to the provider's sites: dialled, lent to one call at a time, kept for a while."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import defaultdict
from functools import cached_property, lru_cache
from typing import NamedTuple

import aiohappyeyeballs
from yarl import URL

from services.runninghub.connection import HttpConnection

# RFC 8305: how long one address family may take before the other is tried beside it.
_NEXT_ADDRESS_S = 0.25
_PORTS = {"http": 80, "https": 443}


class ConnectError(OSError):
    """No connection could be made; nothing was sent."""


class Origin(NamedTuple):
    """A site: where its connections lead."""

    is_tls: bool
    host: str
    port: int
    authority: str  # as the Host header has it


@lru_cache(maxsize=256)
def origin_of(scheme: str, authority: str) -> Origin:
    """Return the site of a URL's first two parts. Raises ValueError for what is none."""
    url = URL.build(scheme=scheme.lower(), authority=authority)
    if url.scheme not in _PORTS or not url.raw_host:
        raise ValueError(f"{scheme}://{authority} is no http(s) address")
    shown = f"[{url.raw_host}]" if ":" in url.raw_host else url.raw_host
    port = url.explicit_port
    return Origin(
        url.scheme == "https",
        url.raw_host,
        port or _PORTS[url.scheme],
        shown if port is None else f"{shown}:{port}",
    )


class ConnectionPool:
    """Lends connections, at most `limit` at a time; keeps each up to `keep_s` for the next call.

    Make it inside a running event loop.
    """

    def __init__(self, limit: int, keep_s: float) -> None:
        self._keep_s = keep_s
        self._room = asyncio.Semaphore(limit)
        self._idle: defaultdict[Origin, list[HttpConnection]] = defaultdict(list)
        self._lent: set[HttpConnection] = set()
        self._loop = asyncio.get_running_loop()
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def take(self, origin: Origin, timeout_s: float) -> HttpConnection:
        """Return a connection that is open, as far as anybody can know. Raises OSError.

        `timeout_s` bounds waiting for room, DNS, TCP and TLS. Give it back in any case.
        """
        if self._room.locked() or (connection := self._kept(origin)) is None:
            connection = await self._wait_and_dial(origin, timeout_s)
        else:
            await self._room.acquire()  # returns at once
        self._lent.add(connection)
        return connection

    def give_back(self, origin: Origin, connection: HttpConnection) -> None:
        """Keep an open connection for the next call, or let go of a closed one."""
        self._lent.discard(connection)
        self._room.release()
        if not connection.is_open:
            return
        if self._is_closed or not self._keep_s:
            connection.close()
            return
        self._idle[origin].append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(self._keep_s, self._close_old)

    async def close(self) -> None:
        """Close all connections, those in use as well."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for kept in self._idle.values():
            for connection in kept:
                connection.close()
        self._idle.clear()
        for connection in tuple(self._lent):
            connection.close()
        await asyncio.sleep(0)  # the loop closes their sockets in its next turn

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Trust what the system trusts; read once, at the first https call."""
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    async def _wait_and_dial(self, origin: Origin, timeout_s: float) -> HttpConnection:
        try:
            async with asyncio.timeout(timeout_s):
                await self._room.acquire()
                try:
                    return self._kept(origin) or await self._dial(origin)
                except BaseException:
                    self._room.release()
                    raise
        except TimeoutError as error:
            text = f"no connection to {origin.authority} within {timeout_s:g} s"
            raise ConnectError(text) from error

    def _kept(self, origin: Origin) -> HttpConnection | None:
        """Return the connection that was used last, if it is young, open and silent."""
        kept = self._idle.get(origin)
        while kept:
            connection = kept.pop()
            is_young = time.monotonic() - connection.idle_since <= self._keep_s
            if is_young and connection.is_silent:
                return connection
            connection.close()
        return None

    async def _dial(self, origin: Origin) -> HttpConnection:
        if self._is_closed:
            raise ConnectError("the client is closed")
        try:
            return await _dial(origin, self._tls if origin.is_tls else None)
        except (OSError, RuntimeError, UnicodeError) as error:
            # Under uvloop a failed connect may raise RuntimeError.
            text = f"cannot connect to {origin.authority}: {error}"
            raise ConnectError(text.removesuffix(": ")) from error

    def _close_old(self) -> None:
        self._sweep = None
        oldest = time.monotonic() - self._keep_s
        for origin, kept in tuple(self._idle.items()):
            # A list is in the order in which its connections came back.
            while kept and kept[0].idle_since <= oldest:
                kept.pop(0).close()
            if not kept:
                del self._idle[origin]
        if self._idle:
            first = min(kept[0].idle_since for kept in self._idle.values())
            left_s = first + self._keep_s - time.monotonic()
            self._sweep = self._loop.call_later(max(left_s, 0.001), self._close_old)


async def _dial(origin: Origin, tls: ssl.SSLContext | None) -> HttpConnection:
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    sock = await aiohappyeyeballs.start_connection(
        infos, happy_eyeballs_delay=_NEXT_ADDRESS_S, loop=loop
    )
    try:
        _, connection = await loop.create_connection(
            lambda: HttpConnection(sock),
            sock=sock,
            ssl=tls,
            server_hostname=origin.host if tls else None,
        )
    except BaseException:
        sock.close()
        raise
    return connection
