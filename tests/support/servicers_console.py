"""The gRPC side of a console's world: one server for all services, over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from etapa.observability.v1 import event_pb2, trail_pb2, trail_pb2_grpc
from etapa.queue.v1 import (
    credits_pb2,
    credits_pb2_grpc,
    operations_pb2,
    operations_pb2_grpc,
    queue_pb2,
    queue_pb2_grpc,
)
from etapa.tools.v1 import tools_pb2, tools_pb2_grpc
from services.runtime.grpc_server import GrpcServer
from tests.support.console_world import (
    FINAL,
    CursorExpiredError,
    JobAlreadyFinalError,
    JobNotQueuedError,
    PayloadNotFoundError,
    ToolNotFoundError,
    World,
)


class _Queue(queue_pb2_grpc.QueueServiceServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def GetJob(self, request: Any, context: Any) -> Any:
        self.world.need("queue")
        return queue_pb2.GetJobResponse(job=self.world.job(request.job_id))

    async def ListJobs(self, request: Any, context: Any) -> Any:
        self.world.need("queue")
        wanted = [
            job
            for job in self.world.jobs.values()
            if request.user_id in ("", job.user_id)
            and request.tool in ("", job.tool)
            and (not request.statuses or job.status in request.statuses)
        ]
        wanted.sort(key=lambda job: (job.created_at.seconds, job.job_id), reverse=True)
        return queue_pb2.ListJobsResponse(jobs=wanted[: request.page_size or 50])

    async def CancelJob(self, request: Any, context: Any) -> Any:
        self.world.need("queue")
        job = self.world.job(request.job_id)
        if job.status in FINAL:
            raise JobAlreadyFinalError("it has ended", {"job_id": job.job_id})
        job.cancel_requested_at.GetCurrentTime()
        await self.world.put(job)
        return queue_pb2.CancelJobResponse(job=job)

    async def RetryJob(self, request: Any, context: Any) -> Any:
        self.world.need("queue")
        self.world.retried.append(request)
        old = self.world.job(request.job_id)
        job = await self.world.new_job(old.tool, old.user_id, old.job_id)
        return queue_pb2.RetryJobResponse(job=job, created=True)

    async def GetQueue(self, request: Any, context: Any) -> Any:
        self.world.need("queue")
        return queue_pb2.GetQueueResponse(
            running=3,
            waiting=2,
            accounts=[queue_pb2.AccountLoad(account="main", slots=5, held=3, claimable=True)],
            tools=[queue_pb2.ToolLoad(tool="upscaler", waiting=2, running=3)],
        )

    async def WhyWaiting(self, request: Any, context: Any) -> Any:
        self.world.need("queue")
        if request.job_id not in self.world.why:
            raise JobNotQueuedError("it does not wait", {"job_id": request.job_id})
        return self.world.why[request.job_id]

    async def CreateJob(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def CreateJobs(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def SubmitJob(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def WaitJob(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def ReportCallbacks(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


class _Credits(credits_pb2_grpc.CreditsServiceServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def GetBalance(self, request: Any, context: Any) -> Any:
        self.world.need("queue")
        return credits_pb2.GetBalanceResponse(available=self.world.balance, reserved=60)

    async def GrantCredits(self, request: Any, context: Any) -> Any:
        self.world.balance += request.amount
        return credits_pb2.GrantCreditsResponse(available=self.world.balance)

    async def ListLedger(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


class _Operations(operations_pb2_grpc.OperationsServiceServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def ListAccounts(self, request: Any, context: Any) -> Any:
        self.world.need("queue")
        return operations_pb2.ListAccountsResponse(accounts=self.world.accounts)

    async def SetAccount(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def SetTool(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def AnnounceTools(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


class _Trail(trail_pb2_grpc.TrailServiceServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def GetTrail(self, request: Any, context: Any) -> Any:
        self.world.need("observability")
        return self.world.trail(request.job_id)

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[trail_pb2.WatchResponse]:
        self.world.need("observability")
        self.world.watched.append(request.after_seq)
        seq = request.after_seq
        while True:
            trail = self.world.trail(request.job_id)
            for number in range(seq + 1, trail.through_seq + 1):
                event = event_pb2.Event(job_id=request.job_id, seq=number)
                yield trail_pb2.WatchResponse(event=event)
            seq = max(seq, trail.through_seq)
            async with self.world.changed:
                while trail.through_seq == self.world.trails[request.job_id].through_seq:
                    await self.world.changed.wait()
                    self.world.need("observability")

    async def WatchJobs(
        self, request: Any, context: Any
    ) -> AsyncIterator[trail_pb2.WatchJobsResponse]:
        self.world.need("observability")
        self.world.cursors.append(request.cursor)
        if request.cursor == "old":
            raise CursorExpiredError("too old")
        place = int(request.cursor or 0)
        while True:
            # All that is new in one message, as the service tells it.
            yield self._changes_after(place)
            place = len(self.world.changes)
            async with self.world.changed:
                while place >= len(self.world.changes):
                    await self.world.changed.wait()
                    self.world.need("observability")

    def _changes_after(self, place: int) -> trail_pb2.WatchJobsResponse:
        response = trail_pb2.WatchJobsResponse(cursor=str(len(self.world.changes)))
        for job_id in dict.fromkeys(self.world.changes[place:]):
            trail = self.world.trails.get(job_id)
            response.jobs.add(job_id=job_id, through_seq=trail.through_seq if trail else 0)
        return response

    async def ListJobs(self, request: Any, context: Any) -> Any:
        self.world.need("observability")
        found = [
            trail.job
            for trail in self.world.trails.values()
            if request.user_id in ("", trail.job.user_id)
            and request.tool in ("", trail.job.tool)
            and request.error_class in ("", trail.job.error_class)
            and (not request.statuses or trail.job.status in request.statuses)
        ]
        start = int(request.page_token or 0)
        end = start + (request.page_size or 50)
        following = str(end) if end < len(found) else ""
        return trail_pb2.ListJobsResponse(jobs=found[start:end], next_page_token=following)

    async def Find(self, request: Any, context: Any) -> Any:
        self.world.need("observability")
        matches = [
            trail_pb2.FindMatch(job=trail.job, matched="user_id")
            for trail in self.world.trails.values()
            if request.query in (trail.job.user_id, trail.job.task_id)
        ]
        return trail_pb2.FindResponse(matches=matches)

    async def GetPayload(self, request: Any, context: Any) -> Any:
        self.world.need("observability")
        for info in self.world.trail(request.job_id).payloads:
            if info.payload_id == request.payload_id:
                body = self.world.bodies.get(info.payload_id, b"")
                return trail_pb2.GetPayloadResponse(info=info, body=body)
        raise PayloadNotFoundError("no such payload", {"payload_id": request.payload_id})


class _Tools(tools_pb2_grpc.ToolsServiceServicer):
    def __init__(self, world: World) -> None:
        self.world = world

    async def ListTools(self, request: Any, context: Any) -> Any:
        self.world.need("tools")
        return tools_pb2.ListToolsResponse(tools=self.world.tools.values())

    async def DescribeTool(self, request: Any, context: Any) -> Any:
        self.world.need("tools")
        if request.tool not in self.world.tools:
            raise ToolNotFoundError(f"no tool {request.tool}", {"tool": request.tool})
        return tools_pb2.DescribeToolResponse(tool=self.world.tools[request.tool])

    async def RunTool(self, request_iterator: Any, context: Any) -> Any:
        self.world.need("tools")
        header = (await anext(aiter(request_iterator))).header
        media: dict[str, bytes] = {}
        async for message in request_iterator:
            chunk = message.chunk
            self.world.largest_chunk = max(self.world.largest_chunk, len(chunk.data))
            media[chunk.media] = media.get(chunk.media, b"") + chunk.data
        self.world.runs.append((header, media))
        job = await self.world.new_job(header.tool, header.run.user_id)
        return tools_pb2.RunToolResponse(job=job)


@asynccontextmanager
async def serving_world(world: World) -> AsyncIterator[str]:
    """Serve the world over gRPC and yield its address."""
    server = GrpcServer("127.0.0.1:0")
    server.add(
        queue_pb2_grpc.add_QueueServiceServicer_to_server,
        _Queue(world),
        "etapa.queue.v1.QueueService",
    )
    server.add(
        credits_pb2_grpc.add_CreditsServiceServicer_to_server,
        _Credits(world),
        "etapa.queue.v1.CreditsService",
    )
    server.add(
        operations_pb2_grpc.add_OperationsServiceServicer_to_server,
        _Operations(world),
        "etapa.queue.v1.OperationsService",
    )
    server.add(
        trail_pb2_grpc.add_TrailServiceServicer_to_server,
        _Trail(world),
        "etapa.observability.v1.TrailService",
    )
    server.add(
        tools_pb2_grpc.add_ToolsServiceServicer_to_server,
        _Tools(world),
        "etapa.tools.v1.ToolsService",
    )
    await server.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        await server.stop(0)
