"""Queue and observability at the wire only, for the gateway's tests: real servers, no logic."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc import aio

from etapa.observability.v1 import intake_pb2, intake_pb2_grpc
from etapa.queue.v1 import queue_pb2, queue_pb2_grpc
from tests.support.waiting import eventually


async def _no_pause() -> None:
    """Answer at once."""


class QueueWire(queue_pb2_grpc.QueueServiceServicer):
    """Records callbacks, after a pause; refuses batches in which `refuses` finds one."""

    def __init__(self) -> None:
        self.batches: list[list[queue_pb2.Callback]] = []
        self.refuses: Callable[[queue_pb2.Callback], bool] = lambda _: False
        self.pause: Callable[[], Awaitable[object]] = _no_pause

    @property
    def callbacks(self) -> list[queue_pb2.Callback]:
        """All that were acknowledged."""
        return [callback for batch in self.batches for callback in batch]

    async def ReportCallbacks(  # noqa: N802
        self, request: queue_pb2.ReportCallbacksRequest, context: Any
    ) -> queue_pb2.ReportCallbacksResponse:
        """Acknowledge or refuse a batch."""
        await self.pause()
        if any(map(self.refuses, request.callbacks)):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "one of these is malformed")
        self.batches.append(list(request.callbacks))
        receipts = [
            queue_pb2.CallbackReceipt(delivery_id=callback.delivery_id)
            for callback in request.callbacks
        ]
        return queue_pb2.ReportCallbacksResponse(receipts=receipts)


class IntakeWire(intake_pb2_grpc.IntakeServiceServicer):
    """Records deliveries."""

    def __init__(self) -> None:
        self.batches: list[list[intake_pb2.Delivery]] = []
        self.pause: Callable[[], Awaitable[object]] = _no_pause

    @property
    def deliveries(self) -> list[intake_pb2.Delivery]:
        """All that were acknowledged."""
        return [delivery for batch in self.batches for delivery in batch]

    async def RecordDeliveries(  # noqa: N802
        self, request: intake_pb2.RecordDeliveriesRequest, context: Any
    ) -> intake_pb2.RecordDeliveriesResponse:
        """Acknowledge a batch."""
        await self.pause()
        self.batches.append(list(request.deliveries))
        return intake_pb2.RecordDeliveriesResponse()


@dataclass
class Peers:
    """Two servers that can go away and come back at their addresses."""

    queue: QueueWire = field(default_factory=QueueWire)
    intake: IntakeWire = field(default_factory=IntakeWire)
    queue_port: int = 0
    intake_port: int = 0
    _servers: dict[str, aio.Server] = field(default_factory=dict)

    async def start_queue(self) -> None:
        """Serve the queue."""
        server = aio.server(options=[("grpc.so_reuseport", 0)])
        queue_pb2_grpc.add_QueueServiceServicer_to_server(self.queue, server)
        self.queue_port = server.add_insecure_port(f"127.0.0.1:{self.queue_port}")
        await self._start("queue", server)

    async def start_intake(self) -> None:
        """Serve observability."""
        server = aio.server(options=[("grpc.so_reuseport", 0)])
        intake_pb2_grpc.add_IntakeServiceServicer_to_server(self.intake, server)
        self.intake_port = server.add_insecure_port(f"127.0.0.1:{self.intake_port}")
        await self._start("intake", server)

    async def stop(self, *names: str) -> None:
        """Stop the servers named, or both."""
        for name in names or tuple(self._servers):
            server = self._servers.pop(name, None)
            if server is not None:
                await server.stop(None)

    async def wait_for(self, *, callbacks: int = 0, deliveries: int = 0) -> None:
        """Wait until at least so many were acknowledged."""

        async def arrived() -> bool:
            return (
                len(self.queue.callbacks) >= callbacks and len(self.intake.deliveries) >= deliveries
            )

        await eventually(arrived)

    async def _start(self, name: str, server: aio.Server) -> None:
        await server.start()
        self._servers[name] = server


@asynccontextmanager
async def running_peers() -> AsyncIterator[Peers]:
    """Run both peers on free ports."""
    peers = Peers()
    await peers.start_queue()
    await peers.start_intake()
    try:
        yield peers
    finally:
        await peers.stop()
