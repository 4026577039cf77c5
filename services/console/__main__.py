"""Runs the console: `python -m services.console`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from services.console.app import make_app
from services.console.desk import open_desk
from services.console.settings import Settings
from services.runtime.http_server import HttpServer
from services.runtime.log import get_log
from services.runtime.main import serve
from services.runtime.open_files import allow_open_files
from services.runtime.tracing import ClientTracer

log = get_log(__name__)

GRACE_S = 5.0


async def main(env: Mapping[str, str], stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    settings = Settings.from_env(env)
    allow_open_files()
    async with open_desk(settings, ClientTracer()) as desk:
        server = HttpServer(settings.listen, make_app(desk))
        port = await server.start()
        log.info("console_listening", port=port)
        try:
            await stop.wait()
        finally:
            await server.stop(GRACE_S)


if __name__ == "__main__":
    serve("console", main, os.environ)
