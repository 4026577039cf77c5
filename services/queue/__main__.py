"""Runs the queue service: `python -m services.queue`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping

from etapa_client import EtapaClient
from services.queue.assembly import Assembly, assemble, call_limits
from services.queue.server import make_server
from services.queue.settings import Settings
from services.queue.store import SESSION
from services.runninghub.client import RunningHubClient
from services.runtime.db import open_pool
from services.runtime.failpoints import arm
from services.runtime.grpc_server import GrpcServer
from services.runtime.main import serve
from services.runtime.tracing import ClientTracer

NAME = "queue"


async def main(
    env: Mapping[str, str], stop: asyncio.Event, started: Callable[[int], None] | None = None
) -> None:
    """Serve until `stop` is set; `started` is told the port once calls are answered."""
    settings = Settings.from_env(env)
    arm(settings.failpoint)
    # Without a first connection, so that the service starts while the database is away.
    size = settings.database_connections
    pool = await open_pool(settings.database_url, NAME, min_size=0, max_size=size, settings=SESSION)
    client = EtapaClient(observability=settings.observability_address, tracer=ClientTracer())
    limits = call_limits(settings)
    async with RunningHubClient(limits, settings.fetch_allow) as provider, client:
        parts = assemble(settings, pool, provider, client)
        # Nobody is answered before the tables are there, however long Postgres is away.
        if await parts.prepare(stop):
            await _serve(make_server(settings, parts), parts, stop, started)
    await pool.close()


async def _serve(
    server: GrpcServer,
    parts: Assembly,
    stop: asyncio.Event,
    started: Callable[[int], None] | None,
) -> None:
    port = await server.start()
    server.set_serving(True)
    if started is not None:
        started(port)
    async with asyncio.TaskGroup() as group:
        group.create_task(parts.run(stop), name="loops")
        await stop.wait()
        await server.stop(parts.settings.drain_s)


if __name__ == "__main__":
    serve(NAME, main, os.environ)
