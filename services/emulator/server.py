"""Binds the provider's port and the admin port, and takes both down again."""

from __future__ import annotations

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
    """Bind both ports (0 picks a free one), announce them in one log line, and serve."""
    provider = Provider(settings)
    public = web.AppRunner(create_app(provider), access_log=None, shutdown_timeout=SHUTDOWN_S)
    admin = web.AppRunner(Admin(provider).app(), access_log=None, shutdown_timeout=SHUTDOWN_S)
    base_url = await _bind(public, settings.listen)
    admin_url = await _bind(admin, settings.admin_listen)
    provider.base_url = settings.public_url or base_url
    resumed = restore(provider)
    log.info("emulator_ready", base_url=base_url, admin_url=admin_url, resumed=resumed)
    return Server(provider, base_url, admin_url, (public, admin))


async def _bind(runner: web.AppRunner, listen: str) -> str:
    host, _, port = listen.rpartition(":")
    await runner.setup()
    site = web.TCPSite(runner, host.strip("[]"), int(port))
    await site.start()
    bound = runner.addresses[0][1]
    shown = "127.0.0.1" if host in {"0.0.0.0", "[::]"} else host  # noqa: S104  shown, not bound
    return f"http://{shown}:{bound}"
