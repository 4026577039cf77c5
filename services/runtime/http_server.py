"""An HTTP server at one address, with the same rules on addresses and endings as the gRPC one."""

from __future__ import annotations

from aiohttp import web

from services.runtime.http_log import EdgeLogger
from services.runtime.listen import bind_error, check_loopback, split_listen

_BACKLOG = 512


class HttpServer:
    """Serves an aiohttp application. The application's own clean-up runs in `stop()`."""

    def __init__(
        self,
        listen: str,
        app: web.Application,
        *,
        raw_bodies: bool = False,
        idle_timeout_s: float = 75,
    ) -> None:
        """With `raw_bodies` a compressed request body reaches the handler as it came.

        `idle_timeout_s` bounds the wait for a request's whole head, the first one included.
        """
        self._listen = listen
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
        try:
            await web.TCPSite(self._runner, host, port, backlog=_BACKLOG).start()
        except OSError as error:
            await self._runner.cleanup()
            raise bind_error(self._listen, error) from error
        self.port = _port_of(self._runner)
        return self.port

    async def stop(self, grace_s: float) -> None:
        """Refuse new connections, wait up to `grace_s` for requests under way, then end them."""
        # aiohttp takes this when the runner is made but reads it only now; 0 would mean for ever.
        self._runner._shutdown_timeout = max(grace_s, 0.001)
        await self._runner.cleanup()


def _port_of(runner: web.AppRunner) -> int:
    address = runner.addresses[0]
    return int(address[1])
