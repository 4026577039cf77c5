"""An HTTP server at one address, with the same rules on addresses and endings as the gRPC one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from services.runtime.http_log import EdgeLogger
from services.runtime.listen import bind_error, check_loopback, split_listen

_BACKLOG = 512

MakeProtocol = Callable[[], asyncio.Protocol]


class Front(Protocol):
    """What sees every connection before aiohttp does, and may serve it instead."""

    def over(self, rest: MakeProtocol) -> MakeProtocol:
        """Return the maker of its protocols, which hand over to those of `rest`."""

    async def drain(self, grace_s: float) -> None:
        """End its connections, or hand them over; wait up to `grace_s` for what is under way."""


class HttpServer:
    """Serves an aiohttp application. The application's own clean-up runs in `stop()`."""

    def __init__(
        self,
        listen: str,
        app: web.Application,
        *,
        raw_bodies: bool = False,
        idle_timeout_s: float = 75,
        front: Front | None = None,
    ) -> None:
        """With `raw_bodies` a compressed request body reaches the handler as it came.

        `idle_timeout_s` bounds the wait for a request's whole head, the first one included.
        """
        self._listen = listen
        self._front = front
        self._server: asyncio.Server | None = None
        # No access log: paths carry tokens, and spans already tell what was served.
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=EdgeLogger(),
            auto_decompress=not raw_bodies,
            keepalive_timeout=idle_timeout_s,
        )
        self.port = 0

    async def start(self) -> int:
        """Bind and serve; return the port. Raises `PortInUseError` or `InsecureBindError`."""
        check_loopback(self._listen)
        host, port = split_listen(self._listen)
        await self._runner.setup()
        make: MakeProtocol | None = self._runner.server
        assert make is not None  # noqa: S101 - it is set up
        if self._front is not None:
            make = self._front.over(make)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(make, host, port, backlog=_BACKLOG)
        except OSError as error:
            await self._runner.cleanup()
            raise bind_error(self._listen, error) from error
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    async def stop(self, grace_s: float) -> None:
        """Refuse new connections, wait up to `grace_s` for requests under way, then end them."""
        if self._server is not None:
            self._server.close()
        if self._front is not None:
            await self._front.drain(grace_s)
        # aiohttp takes this when the runner is made but reads it only now; 0 would mean for ever.
        self._runner._shutdown_timeout = max(grace_s, 0.001)
        await self._runner.cleanup()
