"""An IntakeService that writes down the events it is sent, and misbehaves as told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from etapa.observability.v1 import event_pb2, intake_pb2, intake_pb2_grpc
from services.runtime.grpc_server import GrpcServer

Judge = Callable[[event_pb2.Event], str]


class EventRecorder(intake_pb2_grpc.IntakeServiceServicer):
    """`events` are those acknowledged. `rejects` names why an event is rejected, "" if it is not;
    `refuses` ends the stream with INVALID_ARGUMENT; while `is_away`, with UNAVAILABLE.
    """

    def __init__(self) -> None:
        self.events: list[event_pb2.Event] = []
        self.sizes: list[int] = []
        self.is_away = False
        self.is_silent = False
        self.rejects: Judge = lambda event: ""
        self.refuses: Judge = lambda event: ""
        self.changed = asyncio.Condition()

    async def RecordEvents(  # noqa: N802 - gRPC's name
        self, request_iterator: Any, context: Any
    ) -> AsyncIterator[intake_pb2.RecordEventsResponse]:
        """Write down batches."""
        async for request in request_iterator:
            if self.is_away:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
            if any(map(self.refuses, request.events)):
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "refused")
            if self.is_silent:
                await asyncio.Event().wait()
            response = intake_pb2.RecordEventsResponse(batch=request.batch)
            for event in request.events:
                if why := self.rejects(event):
                    response.rejected.add(job_id=event.job_id, seq=event.seq, message=why)
            async with self.changed:
                self.events += request.events
                self.sizes.append(request.ByteSize())
                self.changed.notify_all()
            yield response

    async def RecordDeliveries(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refuse: not what this is for."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "events only")

    async def AnnounceTools(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refuse: not what this is for."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "events only")

    async def until(self, count: int, timeout_s: float = 20) -> None:
        """Return once so many different events are there."""
        async with asyncio.timeout(timeout_s), self.changed:
            await self.changed.wait_for(lambda: len(self.seen()) >= count)

    def seen(self) -> Counter[tuple[str, int]]:
        """Count events by identity."""
        return Counter((event.job_id, event.seq) for event in self.events)


@asynccontextmanager
async def recording(recorder: EventRecorder, listen: str = "127.0.0.1:0") -> AsyncIterator[str]:
    """Serve a recorder; yield its address, at which it may be served again later."""
    server = GrpcServer(listen)
    server.add(
        intake_pb2_grpc.add_IntakeServiceServicer_to_server,
        recorder,
        "etapa.observability.v1.IntakeService",
    )
    port = await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0.5)
