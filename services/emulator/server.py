"""Binds the provider's port and the admin port, and takes both down again."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

from aiohttp import web

from services.emulator.admin import Admin
from services.emulator.app import create_app
from services.emulator.provider import Provider
from services.emulator.restore import restore
from services.emulator.settings import Settings
from services.runtime.log import get_log

log = get_log(__name__)
SHUTDOWN_S = 0.5


@dataclass(slots=True)
class Server:
    """A running emulator. `base_url` is what a client takes for RunningHub."""

    provider: Provider
    base_url: str
    admin_url: str
    runners: tuple[web.AppRunner, ...]

    async def close(self) -> None:
        """Stop taking calls, stop all work, close the files."""
        for runner in self.runners:
            await runner.cleanup()
        await self.provider.close()


async def start_server(settings: Settings) -> Server:
    """Bind both ports (0 picks a free one), announce them in one log line, and serve.

    A port that is taken raises `OSError` before anything else has happened.
    """
    with contextlib.ExitStack() as undo:
        sockets = [undo.enter_context(_bound(settings.listen))]
        sockets.append(undo.enter_context(_bound(settings.admin_listen)))
        base_url, admin_url = (_url(item) for item in sockets)
        provider = Provider(settings)
        provider.base_url = settings.public_url or base_url
        # Known before the first call comes in: what an earlier run accepted.
        resumed = restore(provider)
        apps = (create_app(provider), Admin(provider).app())
        runners = tuple(
            web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S) for app in apps
        )
        server = Server(provider, base_url, admin_url, runners)
        try:
            for runner, bound in zip(runners, sockets, strict=True):
                await runner.setup()
                await web.SockSite(runner, bound).start()
        except BaseException:
            await server.close()
            raise
        undo.pop_all()
    log.info("emulator_ready", base_url=base_url, admin_url=admin_url, resumed=resumed)
    return server


def _bound(listen: str) -> socket.socket:
    """Bind a socket without listening yet, so that its port is known before calls come."""
    host, _, port = listen.rpartition(":")
    found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise OSError(error.errno, f"{error.strerror}: {listen}") from error
    return bound


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  shown only
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
