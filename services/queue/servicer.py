"""The gRPC edge of jobs: parse, call, answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from etapa.queue.v1 import queue_pb2, queue_pb2_grpc
from services.queue import check, mapping, mapping_create
from services.queue.callbacks import Callbacks
from services.queue.command import AskCancel, RejectMedia
from services.queue.domain import BadRequestError, JobAlreadyFinalError
from services.queue.intake import Intake
from services.queue.overview import Overview
from services.queue.reader import Reader
from services.queue.servicer_create import Creates
from services.queue.transitions import Transitions
from services.queue.waiters import Waiters
from services.runtime.page import page_size
from services.runtime.tracing import current_traceparent, new_traceparent

# Left of a call's deadline for the answer itself.
_ANSWER_S = 0.5


class QueueServicer(queue_pb2_grpc.QueueServiceServicer):
    """Jobs: made, submitted, read, waited for, cancelled, tried again."""

    def __init__(
        self,
        transitions: Transitions,
        intake: Intake,
        callbacks: Callbacks,
        reader: Reader,
        waiters: Waiters,
        overview: Overview,
    ) -> None:
        self._transitions = transitions
        self._clock: Callable[[], datetime] = transitions.clock
        self._intake = intake
        self._callbacks = callbacks
        self._reader = reader
        self._waiters = waiters
        self._overview = overview
        self._creates = Creates(intake, reader, self._clock)

    async def CreateJob(
        self, request: queue_pb2.CreateJobRequest, context: Any
    ) -> queue_pb2.CreateJobResponse:
        """Admit a job."""
        return await self._creates.one(request, _traceparent())

    async def CreateJobs(
        self, request: queue_pb2.CreateJobsRequest, context: Any
    ) -> queue_pb2.CreateJobsResponse:
        """Admit several jobs, each answered by itself."""
        return await self._creates.many(request.requests)

    async def SubmitJob(
        self, request: queue_pb2.SubmitJobRequest, context: Any
    ) -> queue_pb2.SubmitJobResponse:
        """Complete a pending job, or fail it at `upload`."""
        job_id = check.job_id(request.job_id)
        match request.WhichOneof("outcome"):
            case "ready":
                await self._intake.submit(job_id, mapping_create.submission_from(request.ready))
            case "rejected":
                await self._reject(mapping_create.rejection_from(job_id, request.rejected))
            case _:
                raise BadRequestError("give either `ready` or `rejected`", "outcome")
        return queue_pb2.SubmitJobResponse(job=await self._job(job_id))

    async def GetJob(
        self, request: queue_pb2.GetJobRequest, context: Any
    ) -> queue_pb2.GetJobResponse:
        """Read one job with its position."""
        return queue_pb2.GetJobResponse(job=await self._job(check.job_id(request.job_id)))

    async def WaitJob(
        self, request: queue_pb2.WaitJobRequest, context: Any
    ) -> queue_pb2.WaitJobResponse:
        """Block until the job is final or the time has passed."""
        asked_s = request.max_wait.seconds + request.max_wait.nanos / 1e9
        if asked_s < 0:
            raise BadRequestError("max_wait is below 0", "max_wait")
        left_s = max(context.time_remaining() - _ANSWER_S, 0.0)
        wait_s = min(asked_s, left_s) if asked_s else left_s
        view = await self._waiters.wait(check.job_id(request.job_id), wait_s)
        return queue_pb2.WaitJobResponse(job=mapping.job_to_proto(view, self._clock()))

    async def ListJobs(
        self, request: queue_pb2.ListJobsRequest, context: Any
    ) -> queue_pb2.ListJobsResponse:
        """List jobs, newest first."""
        size = page_size(request.page_size, default=50, highest=200)
        wanted = mapping.filter_from(request)
        page = await self._reader.list_jobs(wanted, size, request.page_token)
        now = self._clock()
        return queue_pb2.ListJobsResponse(
            jobs=[mapping.job_to_proto(view, now) for view in page.jobs],
            next_page_token=page.next_token,
        )

    async def CancelJob(
        self, request: queue_pb2.CancelJobRequest, context: Any
    ) -> queue_pb2.CancelJobResponse:
        """Ask for the end of a job."""
        job_id = check.job_id(request.job_id)
        reason = check.text("reason", request.reason, 500)
        await self._transitions.run(AskCancel(job_id, reason))
        return queue_pb2.CancelJobResponse(job=await self._job(job_id))

    async def RetryJob(
        self, request: queue_pb2.RetryJobRequest, context: Any
    ) -> queue_pb2.RetryJobResponse:
        """Make a new job from a final one."""
        old_id = check.job_id(request.job_id)
        request_id = check.text("request_id", request.request_id, check.MAX_NAME, least=1)
        caller = check.text("caller", request.caller, check.MAX_NAME)
        made = await self._intake.retry(old_id, request_id, caller, _traceparent())
        job = mapping.job_to_proto(await self._creates.view(made), self._clock())
        return queue_pb2.RetryJobResponse(job=job, created=made.created)

    async def GetQueue(
        self, request: queue_pb2.GetQueueRequest, context: Any
    ) -> queue_pb2.GetQueueResponse:
        """Say what runs and what waits."""
        load = await self._overview.get_queue()
        return mapping.load_to_proto(load, self._overview.global_limit)

    async def WhyWaiting(
        self, request: queue_pb2.WhyWaitingRequest, context: Any
    ) -> queue_pb2.WhyWaitingResponse:
        """Say in one sentence why a queued job waits."""
        answer = await self._overview.why_waiting(check.job_id(request.job_id))
        return mapping.wait_to_proto(answer)

    async def ReportCallbacks(
        self, request: queue_pb2.ReportCallbacksRequest, context: Any
    ) -> queue_pb2.ReportCallbacksResponse:
        """Take reports of stored callbacks."""
        receipts = await self._callbacks.report(mapping.callbacks_from(request))
        return mapping.receipts_to_proto(receipts)

    async def _reject(self, command: RejectMedia) -> None:
        try:
            await self._transitions.run(command)
        except JobAlreadyFinalError:
            # A repeat after a lost answer finds its own work done.
            view = await self._reader.get(command.job_id)
            if not mapping.is_same_rejection(view, command):
                raise

    async def _job(self, job_id: UUID) -> Any:
        return mapping.job_to_proto(await self._reader.get(job_id), self._clock())


def _traceparent() -> str:
    return current_traceparent() or new_traceparent()
