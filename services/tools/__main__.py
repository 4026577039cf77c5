"""Starts the tools service: `python -m services.tools`. The only place where its parts meet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from etapa.tools.v1 import tools_pb2_grpc as grpc_api
from etapa_client import EtapaClient
from services.runtime.blobs import BlobStore
from services.runtime.grpc_server import GrpcServer
from services.runtime.main import serve
from services.runtime.tracing import ClientTracer
from services.tools import servicer
from services.tools.announce import Announcer
from services.tools.fetch import Fetcher
from services.tools.gather import MediaGatherer
from services.tools.intake import Intake
from services.tools.media import MediaRoom
from services.tools.registry import Registry, find_catalog, load_registry
from services.tools.seats import Seats
from services.tools.settings import Settings
from services.tools.spool import clear_folder
from services.tools.worker_pool import WorkerPool

PACKAGE = "etapa.tools.v1"


async def main(env: Mapping[str, str], stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then drain."""
    settings = Settings.from_env(env)
    registry = load_registry(find_catalog(settings.catalog))
    await asyncio.to_thread(clear_folder, settings.temp_folder)
    workers = WorkerPool(settings.workers, settings.worker_memory_bytes)
    client = EtapaClient(
        queue=settings.queue_address,
        observability=settings.observability_address,
        tracer=ClientTracer(),
        # Our caller repeats the whole call; repeats of repeats would only keep it waiting.
        attempts=1,
    )
    async with client, Fetcher(settings.fetch_allow) as fetcher:
        room = MediaRoom(workers, BlobStore(settings.blobs))
        gatherer = MediaGatherer(room, fetcher, settings.upload_idle_s)
        intake = Intake(
            registry,
            client.queue,
            gatherer,
            settings.temp_folder,
            Seats(settings.max_uploads, settings.max_waiting_uploads),
            cut_grace_s=settings.cut_grace_s,
            time_scale=settings.time_scale,
        )
        server = make_server(settings, registry, intake)
        await server.start()
        try:
            await _announce_until(stop, settings, registry, client, server)
        finally:
            await server.stop(settings.drain_s)
            await intake.close()
            await workers.close()


def make_server(settings: Settings, registry: Registry, intake: Intake) -> GrpcServer:
    """Return the server of all tool services, not yet started."""
    server = GrpcServer(settings.listen)
    tools = servicer.ToolsServicer(registry, intake)
    server.add(grpc_api.add_ToolsServiceServicer_to_server, tools, f"{PACKAGE}.ToolsService")
    server.add(
        grpc_api.add_UpscalerServiceServicer_to_server,
        servicer.UpscalerServicer(intake),
        f"{PACKAGE}.UpscalerService",
    )
    server.add(
        grpc_api.add_PoseChangerServiceServicer_to_server,
        servicer.PoseChangerServicer(intake),
        f"{PACKAGE}.PoseChangerService",
    )
    server.add(
        grpc_api.add_VesteAiServiceServicer_to_server,
        servicer.VesteAiServicer(intake),
        f"{PACKAGE}.VesteAiService",
    )
    server.add(
        grpc_api.add_VideoUpscalerServiceServicer_to_server,
        servicer.VideoUpscalerServicer(intake),
        f"{PACKAGE}.VideoUpscalerService",
    )
    return server


async def _announce_until(
    stop: asyncio.Event,
    settings: Settings,
    registry: Registry,
    client: EtapaClient,
    server: GrpcServer,
) -> None:
    every_s = settings.announce_every_s
    to_queue = Announcer(registry, "queue", client.operations.announce_tools, every_s)
    to_trail = Announcer(registry, "observability", client.intake.announce_tools, every_s)
    async with asyncio.TaskGroup() as group:
        loops = [group.create_task(announcer.run()) for announcer in (to_queue, to_trail)]
        ready = group.create_task(_serve_when(to_queue.announced, server))
        await stop.wait()
        for task in (*loops, ready):
            task.cancel()


async def _serve_when(announced: asyncio.Event, server: GrpcServer) -> None:
    # Until the queue knows the catalogue it would refuse every job.
    await announced.wait()
    server.set_serving(True)


if __name__ == "__main__":
    serve("tools", main, os.environ)
