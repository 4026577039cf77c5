"""Runs the observability service: `python -m services.observability`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

from etapa.observability.v1.intake_pb2_grpc import add_IntakeServiceServicer_to_server
from etapa.observability.v1.trail_pb2_grpc import add_TrailServiceServicer_to_server
from services.observability.delivery import DeliveryIntake
from services.observability.feeds import Feeds
from services.observability.intake import Intake
from services.observability.keeper import Keeper
from services.observability.servicer_intake import IntakeServicer
from services.observability.servicer_trail import TrailServicer
from services.observability.settings import Settings
from services.observability.store import SESSION
from services.runtime.blobs import BlobStore
from services.runtime.db import open_pool
from services.runtime.grpc_server import GrpcServer
from services.runtime.main import serve

NAME, PACKAGE = "observability", "etapa.observability.v1"


async def main(
    env: Mapping[str, str], stop: asyncio.Event, started: Callable[[int], None] | None = None
) -> None:
    """Serve until `stop` is set; `started` is told the port once calls are answered."""
    settings, now = Settings.from_env(env), partial(datetime.now, UTC)
    blobs, server = BlobStore(settings.blobs), GrpcServer(settings.listen)
    # Without a first connection, so that the service starts while the database is away.
    pool = await open_pool(
        settings.database_url, NAME, min_size=0, max_size=settings.pool_size, settings=SESSION
    )
    feeds = Feeds(pool, settings)
    keeper = Keeper(pool, settings, now, lambda: server.set_serving(True))
    intake, deliveries = Intake(pool, blobs, feeds.told), DeliveryIntake(pool, blobs, now)
    intake_servicer = IntakeServicer(pool, keeper, intake, deliveries, now)
    trail_servicer = TrailServicer(pool, blobs, keeper, feeds, settings.heartbeat_s)
    server.add(add_IntakeServiceServicer_to_server, intake_servicer, f"{PACKAGE}.IntakeService")
    server.add(add_TrailServiceServicer_to_server, trail_servicer, f"{PACKAGE}.TrailService")
    port = await server.start()
    if started is not None:
        started(port)
    async with asyncio.TaskGroup() as group:
        loops = [group.create_task(run()) for run in (keeper.run, *feeds.loops)]
        await stop.wait()
        await server.stop(settings.grace_s)
        await asyncio.gather(intake.drain(), deliveries.drain())
        for loop in loops:
            loop.cancel()
    await pool.close()


if __name__ == "__main__":
    serve(NAME, main, os.environ)
