"""Small real gRPC servers with the generated services, for tests of both ends of the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from etapa.observability.v1 import event_pb2, intake_pb2, intake_pb2_grpc, trail_pb2, trail_pb2_grpc
from etapa.queue.v1 import credits_pb2, credits_pb2_grpc, job_pb2, queue_pb2, queue_pb2_grpc
from etapa.tools.v1 import tools_pb2, tools_pb2_grpc
from services.runtime.grpc_server import GrpcServer


class SmallCredits(credits_pb2_grpc.CreditsServiceServicer):
    """Does what it is told on GetBalance, and counts."""

    def __init__(self, act: Callable[[Any, Any], Awaitable[Any]]) -> None:
        self.act = act
        self.calls = 0

    async def GetBalance(self, request: Any, context: Any) -> Any:
        """Act."""
        self.calls += 1
        return await self.act(request, context)

    async def GrantCredits(self, request: Any, context: Any) -> Any:
        """Act."""
        self.calls += 1
        await self.act(request, context)
        return credits_pb2.GrantCreditsResponse(available=request.amount)

    async def ListLedger(self, request: Any, context: Any) -> Any:
        """Answer with nothing."""
        return credits_pb2.ListLedgerResponse()


class SmallQueue(queue_pb2_grpc.QueueServiceServicer):
    """Does what it is told on every call of a job, and counts."""

    def __init__(self, act: Callable[[Any, Any], Awaitable[Any]]) -> None:
        self.act = act
        self.calls: list[str] = []

    async def _job(self, name: str, request: Any, context: Any) -> job_pb2.Job:
        self.calls.append(name)
        await self.act(request, context)
        return job_pb2.Job(job_id=getattr(request, "job_id", "") or "made")

    async def CreateJob(self, request: Any, context: Any) -> Any:
        """Act."""
        job = await self._job("CreateJob", request, context)
        return queue_pb2.CreateJobResponse(job=job, created=True)

    async def CreateJobs(self, request: Any, context: Any) -> Any:
        """Act once."""
        job = await self._job("CreateJobs", request, context)
        result = queue_pb2.CreateJobResult(answer=queue_pb2.CreateJobResponse(job=job))
        return queue_pb2.CreateJobsResponse(results=[result] * len(request.requests))

    async def SubmitJob(self, request: Any, context: Any) -> Any:
        """Act."""
        return queue_pb2.SubmitJobResponse(job=await self._job("SubmitJob", request, context))

    async def GetJob(self, request: Any, context: Any) -> Any:
        """Act."""
        return queue_pb2.GetJobResponse(job=await self._job("GetJob", request, context))

    async def WaitJob(self, request: Any, context: Any) -> Any:
        """Act."""
        return queue_pb2.WaitJobResponse(job=await self._job("WaitJob", request, context))

    async def ListJobs(self, request: Any, context: Any) -> Any:
        """Answer with nothing."""
        return queue_pb2.ListJobsResponse()

    async def CancelJob(self, request: Any, context: Any) -> Any:
        """Act."""
        return queue_pb2.CancelJobResponse(job=await self._job("CancelJob", request, context))

    async def RetryJob(self, request: Any, context: Any) -> Any:
        """Act."""
        return queue_pb2.RetryJobResponse(job=await self._job("RetryJob", request, context))

    async def GetQueue(self, request: Any, context: Any) -> Any:
        """Answer with nothing."""
        return queue_pb2.GetQueueResponse()

    async def WhyWaiting(self, request: Any, context: Any) -> Any:
        """Answer with nothing."""
        return queue_pb2.WhyWaitingResponse()

    async def ReportCallbacks(self, request: Any, context: Any) -> Any:
        """Answer with nothing."""
        return queue_pb2.ReportCallbacksResponse()


class SmallTrail(trail_pb2_grpc.TrailServiceServicer):
    """Streams events 1 to `last`, failing where it is told to."""

    def __init__(self, last: int = 0) -> None:
        self.last = last
        self.asked: list[int] = []
        self.cursors: list[str] = []
        self.at_event: Callable[[int, Any], Awaitable[None]] | None = None
        self.first_seq_of: Callable[[int], int] = lambda after: after + 1
        self.open_streams = 0
        self.opened = asyncio.Event()
        self.closed = asyncio.Event()
        self.hold_open = False

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[trail_pb2.WatchResponse]:
        """Stream."""
        self.asked.append(request.after_seq)
        self.open_streams += 1
        try:
            for seq in range(self.first_seq_of(request.after_seq), self.last + 1):
                if self.at_event is not None:
                    await self.at_event(seq, context)
                yield trail_pb2.WatchResponse(event=event_pb2.Event(job_id="j", seq=seq))
                yield trail_pb2.WatchResponse(heartbeat=seq)
            self.opened.set()
            if self.hold_open:
                await asyncio.Event().wait()
        finally:
            self.open_streams -= 1
            self.closed.set()

    # grpc takes a coroutine that writes as well as a generator; the stubs know only the latter.
    async def WatchJobs(self, request: Any, context: Any) -> None:  # type: ignore[override]
        """Write, in the reader-writer style, two messages and then what `at_event` does."""
        self.cursors.append(request.cursor)
        start = int(request.cursor or 0)
        for number in (start + 1, start + 2):
            await context.write(trail_pb2.WatchJobsResponse(cursor=str(number)))
        if self.at_event is not None:
            await self.at_event(start, context)

    async def GetTrail(self, request: Any, context: Any) -> Any:
        """Answer with nothing."""
        return trail_pb2.GetTrailResponse()

    async def ListJobs(self, request: Any, context: Any) -> Any:
        """Answer with nothing."""
        return trail_pb2.ListJobsResponse()

    async def Find(self, request: Any, context: Any) -> Any:
        """Answer with nothing."""
        return trail_pb2.FindResponse()

    async def GetPayload(self, request: Any, context: Any) -> Any:
        """Answer with nothing."""
        return trail_pb2.GetPayloadResponse()


class SmallIntake(intake_pb2_grpc.IntakeServiceServicer):
    """Acknowledges batches once `gate` is open, and remembers how many came before."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.received: list[int] = []
        self.acknowledged = 0
        self.most_open = 0
        self.arrived = asyncio.Semaphore(0)

    async def RecordEvents(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        """Acknowledge in order."""
        waiting: asyncio.Queue[int | None] = asyncio.Queue()

        async def read() -> None:
            async for request in request_iterator:
                self.received.append(request.batch)
                self.most_open = max(self.most_open, len(self.received) - self.acknowledged)
                self.arrived.release()
                waiting.put_nowait(request.batch)
            waiting.put_nowait(None)

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            await self.gate.wait()
            while (batch := await waiting.get()) is not None:
                self.acknowledged += 1
                yield intake_pb2.RecordEventsResponse(batch=batch)

    async def RecordDeliveries(self, request: Any, context: Any) -> Any:
        """Answer with nothing."""
        return intake_pb2.RecordDeliveriesResponse()

    async def AnnounceTools(self, request: Any, context: Any) -> Any:
        """Answer with nothing."""
        return intake_pb2.AnnounceToolsResponse()


class SmallTools(tools_pb2_grpc.ToolsServiceServicer):
    """Keeps what it is sent; may fail the first runs."""

    def __init__(self) -> None:
        self.headers: list[tools_pb2.RunToolHeader] = []
        self.media: dict[str, bytes] = {}
        self.complete: set[str] = set()
        self.largest = 0
        self.before_read: Callable[[Any, Any], Awaitable[None]] | None = None

    async def RunTool(self, request_iterator: Any, context: Any) -> Any:
        """Keep header and chunks."""
        first = await anext(aiter(request_iterator))
        self.headers.append(first.header)
        self.media, self.complete = {}, set()
        if self.before_read is not None:
            await self.before_read(first.header, context)
        async for message in request_iterator:
            chunk = message.chunk
            self.largest = max(self.largest, len(chunk.data))
            self.media[chunk.media] = self.media.get(chunk.media, b"") + chunk.data
            if chunk.last:
                self.complete.add(chunk.media)
        return tools_pb2.RunToolResponse(job=job_pb2.Job(job_id="run"))

    async def ListTools(self, request: Any, context: Any) -> Any:
        """Answer with nothing."""
        return tools_pb2.ListToolsResponse()

    async def DescribeTool(self, request: Any, context: Any) -> Any:
        """Answer with the name."""
        return tools_pb2.DescribeToolResponse(tool=tools_pb2.ToolInfo(name=request.tool))


@asynccontextmanager
async def serving(*servicers: Any, listen: str = "127.0.0.1:0") -> AsyncIterator[GrpcServer]:
    """Serve the servicers of this module; `server.port` tells where."""
    server = GrpcServer(listen)
    for servicer in servicers:
        adder, name = _REGISTRATIONS[type(servicer)]
        server.add(adder, servicer, name)
    await server.start()
    server.set_serving(True)
    try:
        yield server
    finally:
        await server.stop(0)


_REGISTRATIONS: dict[type, tuple[Any, str]] = {
    SmallCredits: (
        credits_pb2_grpc.add_CreditsServiceServicer_to_server,
        "etapa.queue.v1.CreditsService",
    ),
    SmallQueue: (queue_pb2_grpc.add_QueueServiceServicer_to_server, "etapa.queue.v1.QueueService"),
    SmallTrail: (
        trail_pb2_grpc.add_TrailServiceServicer_to_server,
        "etapa.observability.v1.TrailService",
    ),
    SmallIntake: (
        intake_pb2_grpc.add_IntakeServiceServicer_to_server,
        "etapa.observability.v1.IntakeService",
    ),
    SmallTools: (tools_pb2_grpc.add_ToolsServiceServicer_to_server, "etapa.tools.v1.ToolsService"),
}
