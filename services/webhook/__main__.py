"""Runs the webhook gateway: `python -m services.webhook`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress

from etapa_client.client import EtapaClient
from services.runtime.db import open_pool
from services.runtime.failpoints import arm
from services.runtime.http_server import HttpServer
from services.runtime.log import get_log
from services.runtime.main import serve
from services.runtime.tracing import ClientTracer
from services.webhook.gateway import Gateway
from services.webhook.settings import Settings

log = get_log(__name__)

GRACE_S = 10.0


async def main(env: Mapping[str, str], stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then answer who is here and end."""
    settings = Settings.from_env(env)
    arm(settings.failpoint)
    # No connection is needed to start: without a database callbacks are answered 503.
    pool = await open_pool(settings.database_url, "webhook", min_size=0)
    client = EtapaClient(
        queue=settings.queue_address,
        observability=settings.observability_address,
        tracer=ClientTracer(),
    )
    gateway = Gateway(settings, pool, client)
    server = HttpServer(
        settings.listen,
        gateway.app,
        raw_bodies=True,
        idle_timeout_s=settings.idle_timeout_s,
        front=gateway.front,
    )
    work = asyncio.create_task(gateway.work(), name="gateway")
    try:
        port = await server.start()
        log.info("gateway_listening", port=port)
        stopped = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
    finally:
        await server.stop(GRACE_S)
        await gateway.inbox.close()
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
        await client.close()
        pool.terminate()


if __name__ == "__main__":
    serve("webhook", main, os.environ)
