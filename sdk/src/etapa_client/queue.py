"""Jobs at the queue: the calls of QueueService."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from etapa.queue.v1 import job_pb2, queue_pb2, queue_pb2_grpc
from etapa_client.connection import READ_S, WRITE_S, Connection, Group
from etapa_client.errors import EtapaError, error_from_refusal

# How many jobs `create_jobs` takes at a time.
MOST_CREATES = 200

# Added to a wait's length, so that the server's answer arrives before the deadline.
_SLACK_S = 5.0


class QueueClient(Group):
    """Jobs: made, submitted, read, waited for, cancelled, tried again."""

    SERVICE = "etapa.queue.v1.QueueService"

    def __init__(self, connection: Connection, caller: str = "") -> None:
        super().__init__(connection)
        self._caller = caller

    @property
    def _stub(self) -> queue_pb2_grpc.QueueServiceAsyncStub:
        return self._connection.stub(queue_pb2_grpc.QueueServiceStub)

    async def create_job(
        self,
        *,
        request_id: str,
        user_id: str,
        tool: str,
        variant: str = "",
        input_json: str = "{}",
        file_names: Mapping[str, str] | None = None,
        caller: str | None = None,
        ready: queue_pb2.Submission | None = None,
        timeout_s: float = WRITE_S,
    ) -> queue_pb2.CreateJobResponse:
        """Admit a job. Repeated safely under the same `request_id`.

        With `ready` it is completed at once, as by `submit_job`.

        Raises RequestIdReusedError, TooManyActiveJobsError, ToolNotFoundError, InvalidInputError.
        """
        request = queue_pb2.CreateJobRequest(
            request_id=request_id,
            caller=self._caller if caller is None else caller,
            user_id=user_id,
            tool=tool,
            variant=variant,
            input_json=input_json,
            file_names=file_names,
            ready=ready,
        )
        return await self._unary(
            "CreateJob", self._stub.CreateJob, request, timeout_s, repeatable=bool(request_id)
        )

    async def create_jobs(
        self, requests: Sequence[queue_pb2.CreateJobRequest], *, timeout_s: float = WRITE_S
    ) -> Sequence[queue_pb2.CreateJobResponse | EtapaError]:
        """Admit up to 200 jobs by one call, in order, each as by itself.

        Returns for each request its answer, or the error that `create_job` would have raised. An
        error of the whole call is raised; any of the jobs may have been admitted then. Repeated
        safely where all have a `request_id`.
        """
        response = await self._unary(
            "CreateJobs",
            self._stub.CreateJobs,
            queue_pb2.CreateJobsRequest(requests=requests),
            timeout_s,
            repeatable=all(request.request_id for request in requests),
        )
        if len(response.results) != len(requests):
            raise EtapaError(
                f"{len(requests)} requests got {len(response.results)} results. Repeat them.",
                reason="RESULTS_MISSING",
            )
        return [_outcome(result) for result in response.results]

    async def submit_job(
        self,
        *,
        job_id: str,
        ready: queue_pb2.Submission | None = None,
        rejected: queue_pb2.MediaRejection | None = None,
        timeout_s: float = WRITE_S,
    ) -> job_pb2.Job:
        """Complete a pending job, or fail it at `upload`. Exactly one outcome is given."""
        if (ready is None) == (rejected is None):
            raise ValueError("submit_job takes either `ready` or `rejected`")
        request = queue_pb2.SubmitJobRequest(job_id=job_id, ready=ready, rejected=rejected)
        response = await self._unary(
            "SubmitJob", self._stub.SubmitJob, request, timeout_s, repeatable=True
        )
        return response.job

    async def get_job(self, job_id: str, *, timeout_s: float = READ_S) -> job_pb2.Job:
        """Read one job with its position. Raises JobNotFoundError, InvalidIdError."""
        request = queue_pb2.GetJobRequest(job_id=job_id)
        response = await self._unary(
            "GetJob", self._stub.GetJob, request, timeout_s, repeatable=True
        )
        return response.job

    async def wait_job(self, job_id: str, *, max_wait_s: float = 60.0) -> job_pb2.Job:
        """Block until the job is final or `max_wait_s` has passed; return it as it is then."""
        request = queue_pb2.WaitJobRequest(job_id=job_id)
        request.max_wait.FromTimedelta(timedelta(seconds=max_wait_s))
        response = await self._unary(
            "WaitJob", self._stub.WaitJob, request, max_wait_s + _SLACK_S, repeatable=True
        )
        return response.job

    async def list_jobs(
        self,
        *,
        user_id: str = "",
        tool: str = "",
        statuses: Iterable[job_pb2.JobStatus.ValueType] = (),
        page_size: int = 0,
        page_token: str = "",
        timeout_s: float = READ_S,
    ) -> queue_pb2.ListJobsResponse:
        """List jobs that the queue still keeps, newest first."""
        request = queue_pb2.ListJobsRequest(
            user_id=user_id,
            tool=tool,
            statuses=statuses,
            page_size=page_size,
            page_token=page_token,
        )
        return await self._unary(
            "ListJobs", self._stub.ListJobs, request, timeout_s, repeatable=True
        )

    async def cancel_job(
        self, job_id: str, *, reason: str = "", timeout_s: float = WRITE_S
    ) -> job_pb2.Job:
        """Ask for the end of a job. Raises JobNotFoundError, JobAlreadyFinalError.

        Not repeated by this client: after a lost answer a repeat would report a cancelled job as
        JobAlreadyFinalError.
        """
        request = queue_pb2.CancelJobRequest(job_id=job_id, reason=reason)
        response = await self._unary(
            "CancelJob", self._stub.CancelJob, request, timeout_s, repeatable=False
        )
        return response.job

    async def retry_job(
        self,
        job_id: str,
        *,
        request_id: str,
        caller: str | None = None,
        timeout_s: float = WRITE_S,
    ) -> queue_pb2.RetryJobResponse:
        """Make a new job from a final one. Raises JobNotFinalError and what create_job raises."""
        request = queue_pb2.RetryJobRequest(
            job_id=job_id,
            request_id=request_id,
            caller=self._caller if caller is None else caller,
        )
        return await self._unary(
            "RetryJob", self._stub.RetryJob, request, timeout_s, repeatable=bool(request_id)
        )

    async def get_queue(self, *, timeout_s: float = READ_S) -> queue_pb2.GetQueueResponse:
        """Read what runs and what waits."""
        request = queue_pb2.GetQueueRequest()
        return await self._unary(
            "GetQueue", self._stub.GetQueue, request, timeout_s, repeatable=True
        )

    async def why_waiting(
        self, job_id: str, *, timeout_s: float = READ_S
    ) -> queue_pb2.WhyWaitingResponse:
        """Say in one sentence why a queued job waits. Raises JobNotQueuedError."""
        request = queue_pb2.WhyWaitingRequest(job_id=job_id)
        return await self._unary(
            "WhyWaiting", self._stub.WhyWaiting, request, timeout_s, repeatable=True
        )

    async def report_callbacks(
        self, callbacks: Sequence[queue_pb2.Callback], *, timeout_s: float = WRITE_S
    ) -> Sequence[queue_pb2.CallbackReceipt]:
        """Report stored callbacks, at most 500. Idempotent by delivery id."""
        request = queue_pb2.ReportCallbacksRequest(callbacks=callbacks)
        response = await self._unary(
            "ReportCallbacks", self._stub.ReportCallbacks, request, timeout_s, repeatable=True
        )
        return response.receipts


def _outcome(result: queue_pb2.CreateJobResult) -> queue_pb2.CreateJobResponse | EtapaError:
    if result.HasField("refusal"):
        return error_from_refusal(result.refusal)
    return result.answer
