"""The tools service on real sockets, beside a queue that writes down what it is told."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from etapa.tools.v1 import tools_pb2, tools_pb2_grpc
from etapa_client import EtapaClient
from services.runtime.blobs import BlobStore
from services.tools.__main__ import make_server
from services.tools.fetch import Fetcher
from services.tools.gather import MediaGatherer
from services.tools.intake import Intake
from services.tools.media import MediaRoom
from services.tools.registry import Registry, load_registry
from services.tools.seats import Seats
from services.tools.settings import Settings
from services.tools.tool import AnyTool
from services.tools.worker_pool import WorkerPool
from tests.support.servicer_recorder import QueueRecorder, recorder_server


@dataclass
class House:
    """The tools service on real sockets, and what it told the queue."""

    queue: QueueRecorder
    client: EtapaClient
    blobs: BlobStore
    uploads: Path
    intake: Intake
    seats: Seats
    address: str

    @asynccontextmanager
    async def stub(self) -> AsyncIterator[Any]:
        """Open a channel of one's own, without the SDK's repeats."""
        async with grpc.aio.insecure_channel(self.address) as channel:
            yield tools_pb2_grpc.ToolsServiceStub(channel)


@asynccontextmanager
async def open_house(
    folder: Path,
    workers: WorkerPool,
    *,
    grace_s: float = 0.0,
    upload_s: int = 60,
    idle_s: float = 30.0,
    seats: int = 8,
    line: int = 64,
    more: Sequence[AnyTool] = (),
) -> AsyncIterator[House]:
    """Open the service with a queue that records; a tool allows `upload_s` for its upload.

    `more` are tools beside those of the catalogue.
    """
    queue = QueueRecorder()
    queue_server = recorder_server(queue)
    queue_port = await queue_server.start()
    settings = Settings.from_env(
        {
            "ETAPA_HOME": str(folder),
            "ETAPA_TOOLS_LISTEN": "127.0.0.1:0",
            "ETAPA_QUEUE_ADDRESS": f"127.0.0.1:{queue_port}",
            "ETAPA_TOOLS_FETCH_ALLOW": "127.0.0.1/32",
        }
    )
    room = Seats(seats, line)
    settings.temp_folder.mkdir(parents=True)
    registry = hurried([*load_registry(), *more], upload_s)
    blobs = BlobStore(settings.blobs)
    outgoing = EtapaClient(queue=settings.queue_address)
    async with outgoing, Fetcher(settings.fetch_allow) as fetcher:
        intake = Intake(
            registry,
            outgoing.queue,
            MediaGatherer(MediaRoom(workers, blobs), fetcher, idle_s),
            settings.temp_folder,
            room,
            cut_grace_s=grace_s,
        )
        server = make_server(settings, registry, intake)
        address = f"127.0.0.1:{await server.start()}"
        async with EtapaClient(tools=address) as client:
            yield House(queue, client, blobs, settings.temp_folder, intake, room, address)
        await server.stop(5)
        await intake.close()
    await queue_server.stop(0)


def hurried(tools: Iterable[AnyTool], upload_s: int) -> Registry:
    """Return the tools with another time limit for their upload."""

    def hurry(tool: AnyTool) -> AnyTool:
        limits = dataclasses.replace(tool.time_limits, upload_s=upload_s)
        return dataclasses.replace(tool, time_limits=limits)

    return Registry({tool.name: hurry(tool) for tool in tools})


def header(tool: str = "bg_remover", request_id: str = "r-1") -> tools_pb2.RunToolRequest:
    """Return a first message that announces one image."""
    source = tools_pb2.MediaSource(name="image", upload_file_name="foto.jpg")
    run = tools_pb2.RunHeader(request_id=request_id, user_id="ana", media=[source])
    return tools_pb2.RunToolRequest(header=tools_pb2.RunToolHeader(run=run, tool=tool))


def chunk(data: bytes, last: bool = False, media: str = "image") -> tools_pb2.RunToolRequest:
    """Return a later message."""
    return tools_pb2.RunToolRequest(chunk=tools_pb2.MediaChunk(media=media, data=data, last=last))
