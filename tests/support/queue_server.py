"""The queue's three gRPC services over a world, at a free port, called by the SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from etapa.queue.v1 import credits_pb2_grpc, job_pb2, operations_pb2_grpc, queue_pb2, queue_pb2_grpc
from etapa_client.client import EtapaClient
from services.queue.callbacks import Callbacks
from services.queue.ledger import Ledger
from services.queue.operations import Operations
from services.queue.overview import Overview
from services.queue.reader import Reader
from services.queue.servicer import QueueServicer
from services.queue.servicer_credits import CreditsServicer
from services.queue.servicer_operations import OperationsServicer
from services.queue.waiters import Waiters
from services.runtime.grpc_server import GrpcServer
from services.runtime.ids import new_id
from tests.support.queue_world import QueueWorld

NAME = "etapa.queue.v1"


@dataclass
class QueueServer:
    """A served world and its client."""

    world: QueueWorld
    client: EtapaClient
    waiters: Waiters

    async def create(self, user_id: str = "ana", **fields: str) -> str:
        """Admit a job; return its id."""
        fields = {"request_id": str(new_id()), "tool": "upscaler", **fields}
        response = await self.client.queue.create_job(user_id=user_id, **fields)  # type: ignore[arg-type]  # texts only
        return response.job.job_id

    async def enqueue(self, user_id: str = "ana", **fields: str) -> job_pb2.Job:
        """Admit and complete a job."""
        job_id = await self.create(user_id, **fields)
        return await self.client.queue.submit_job(job_id=job_id, ready=submission())


def submission() -> queue_pb2.Submission:
    """Return what the provider is asked for."""
    return queue_pb2.Submission(
        webapp_id="2037188547966406658",
        nodes=[
            job_pb2.Node(node_id="1", field_name="image", media_file="image"),
            job_pb2.Node(node_id="548", field_name="value", text="2048"),
        ],
        media=[
            job_pb2.Media(
                name="image",
                sha256="ab" * 32,
                bytes=10,
                content_type="image/jpeg",
                file_name="photo.jpg",
                width=4,
                height=3,
            )
        ],
    )


@asynccontextmanager
async def serving(world: QueueWorld) -> AsyncIterator[QueueServer]:
    """Serve a world for the length of the context."""
    transitions, pool = world.transitions, world.pool
    reader = Reader(pool)
    waiters = Waiters(transitions, reader, poll_s=0.05)
    overview = Overview(pool, transitions.clock, world.global_limit)
    server = GrpcServer("127.0.0.1:0")
    jobs = QueueServicer(
        transitions, world.intake, Callbacks(transitions), reader, waiters, overview
    )
    operations = OperationsServicer(Operations(pool, transitions.clock))
    credit = CreditsServicer(Ledger(pool, transitions.clock))
    server.add(queue_pb2_grpc.add_QueueServiceServicer_to_server, jobs, f"{NAME}.QueueService")
    server.add(
        operations_pb2_grpc.add_OperationsServiceServicer_to_server,
        operations,
        f"{NAME}.OperationsService",
    )
    server.add(
        credits_pb2_grpc.add_CreditsServiceServicer_to_server, credit, f"{NAME}.CreditsService"
    )
    port = await server.start()
    polling = asyncio.create_task(waiters.run())
    try:
        async with EtapaClient(queue=f"127.0.0.1:{port}", caller="test") as client:
            yield QueueServer(world, client, waiters)
    finally:
        waiters.close()
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        await server.stop(1)
