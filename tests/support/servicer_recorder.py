"""A gRPC server that writes down what the tools service tells the queue and observability.

It keeps the queue's contract as far as one caller sees it (idempotent creation, refusals) and
schedules nothing. It is what tests of the tools service alone look at.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from etapa.observability.v1 import intake_pb2, intake_pb2_grpc
from etapa.queue.v1 import job_pb2, operations_pb2, operations_pb2_grpc, queue_pb2, queue_pb2_grpc
from services.queue.mapping_create import refusal_to_proto
from services.runtime.error_table import answer_to
from services.runtime.errors import EtapaError, ForbiddenTransitionError
from services.runtime.grpc_server import GrpcServer


class JobAlreadyFinal(ForbiddenTransitionError):  # noqa: N818
    reason = "JOB_ALREADY_FINAL"


class JobNotPending(ForbiddenTransitionError):  # noqa: N818
    reason = "JOB_NOT_PENDING"


class _Unimplemented:
    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        async def refuse(request: Any, context: Any) -> Any:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, name)

        return refuse


async def _nothing() -> None: ...


def _nobody(_request: queue_pb2.CreateJobRequest) -> None: ...


class QueueRecorder(_Unimplemented):
    """`created` and `submitted` hold the requests in order; `refusal` is what CreateJob ends with.

    `batches` are the sizes of the calls that brought them. Each such call waits for `gate` before
    it does anything, and for `hold` before it answers. `refuses` decides on one request, and
    `padding` makes answers large.
    """

    def __init__(self) -> None:
        self.created: list[queue_pb2.CreateJobRequest] = []
        self.submitted: list[queue_pb2.SubmitJobRequest] = []
        self.announced: list[operations_pb2.AnnounceToolsRequest] = []
        self.refusal: EtapaError | None = None
        self.batches: list[int] = []
        self.gate: Callable[[], Awaitable[Any]] = _nothing
        self.hold: Callable[[], Awaitable[Any]] = _nothing
        self.refuses: Callable[[queue_pb2.CreateJobRequest], EtapaError | None] = _nobody
        self.padding = ""
        self.changed = asyncio.Condition()
        self._jobs: dict[str, job_pb2.Job] = {}
        self._ids: dict[tuple[str, str, str], str] = {}

    async def CreateJob(self, request: queue_pb2.CreateJobRequest, context: Any) -> Any:
        if refusal := self.refusal or self.refuses(request):
            raise refusal
        key = (request.caller, request.user_id, request.request_id)
        known = key in self._ids
        job_id = self._ids.setdefault(key, str(uuid.uuid4()))
        self._jobs.setdefault(
            job_id,
            job_pb2.Job(
                job_id=job_id,
                tool=request.tool,
                variant=request.variant,
                user_id=request.user_id,
                status=job_pb2.JOB_STATUS_PENDING,
                current_step=job_pb2.STEP_UPLOAD,
                input_json=self.padding,
            ),
        )
        if request.HasField("ready"):
            self._jobs[job_id].status = job_pb2.JOB_STATUS_QUEUED
        await self._note(self.created, request)
        return queue_pb2.CreateJobResponse(job=self._jobs[job_id], created=not known)

    async def CreateJobs(self, request: queue_pb2.CreateJobsRequest, context: Any) -> Any:
        self.batches.append(len(request.requests))
        await self.gate()
        response = queue_pb2.CreateJobsResponse()
        for each in request.requests:
            try:
                response.results.add(answer=await self.CreateJob(each, context))
            except EtapaError as error:
                response.results.add(refusal=refusal_to_proto(answer_to(error)))
        await self.hold()
        return response

    async def SubmitJob(self, request: queue_pb2.SubmitJobRequest, context: Any) -> Any:
        job = self._jobs[request.job_id]
        if request.HasField("rejected"):
            told = (request.rejected.error_class, request.rejected.message)
            if job.status == job_pb2.JOB_STATUS_FAILED:
                if told == (job.error_class, job.error_message):
                    return queue_pb2.SubmitJobResponse(job=job)
                raise JobAlreadyFinal(f"job {job.job_id} has failed", {"job_id": job.job_id})
            if job.status != job_pb2.JOB_STATUS_PENDING:
                raise JobNotPending(f"job {job.job_id} is queued", {"job_id": job.job_id})
            job.status = job_pb2.JOB_STATUS_FAILED
            job.failed_at_step = job_pb2.STEP_UPLOAD
            job.error_message = request.rejected.message
            job.error_class = request.rejected.error_class
        else:
            job.status = job_pb2.JOB_STATUS_QUEUED
        await self._note(self.submitted, request)
        return queue_pb2.SubmitJobResponse(job=job)

    async def GetJob(self, request: queue_pb2.GetJobRequest, context: Any) -> Any:
        return queue_pb2.GetJobResponse(job=self._jobs[request.job_id])

    async def AnnounceTools(self, request: Any, context: Any) -> Any:
        await self._note(self.announced, request)
        return operations_pb2.AnnounceToolsResponse()

    async def wait(self, requests: list[Any], count: int) -> None:
        """Return once that many requests are there."""
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: len(requests) >= count)

    async def _note(self, requests: list[Any], request: Any) -> None:
        async with self.changed:
            requests.append(request)
            self.changed.notify_all()


class TrailRecorder(_Unimplemented):
    """`announced` is set when the catalogue has come."""

    def __init__(self) -> None:
        self.announced = asyncio.Event()
        self.tools: list[str] = []

    async def AnnounceTools(self, request: intake_pb2.AnnounceToolsRequest, context: Any) -> Any:
        self.tools = [tool.name for tool in request.tools]
        self.announced.set()
        return intake_pb2.AnnounceToolsResponse()


def recorder_server(
    recorder: QueueRecorder, trail: TrailRecorder | None = None, listen: str = "127.0.0.1:0"
) -> GrpcServer:
    """Return a server for the recorders, not yet started."""
    server = GrpcServer(listen)
    server.add(
        queue_pb2_grpc.add_QueueServiceServicer_to_server, recorder, "etapa.queue.v1.QueueService"
    )
    server.add(
        operations_pb2_grpc.add_OperationsServiceServicer_to_server,
        recorder,
        "etapa.queue.v1.OperationsService",
    )
    if trail is not None:
        server.add(
            intake_pb2_grpc.add_IntakeServiceServicer_to_server,
            trail,
            "etapa.observability.v1.IntakeService",
        )
    return server
