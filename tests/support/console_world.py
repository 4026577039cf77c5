"""Small real gRPC services behind a console under test: they hold jobs as a test sets them.

One server for all services, so that "away" is one switch for each: a service that is away answers
UNAVAILABLE, as the SDK sees it of a server that is not there.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter

from etapa.observability.v1 import trail_pb2
from etapa.queue.v1 import (
    job_pb2,
    operations_pb2,
    queue_pb2,
)
from etapa.tools.v1 import tools_pb2
from services.runtime.errors import (
    ExpiredError,
    ForbiddenTransitionError,
    NotFoundError,
    QuotaError,
    UnavailableError,
)
from services.tools.registry import load_registry
from services.tools.wire import tool_to_proto

FINAL = (job_pb2.JOB_STATUS_COMPLETED, job_pb2.JOB_STATUS_FAILED, job_pb2.JOB_STATUS_CANCELLED)


class JobNotFoundError(NotFoundError):
    reason = "JOB_NOT_FOUND"


class ToolNotFoundError(NotFoundError):
    reason = "TOOL_NOT_FOUND"


class PayloadNotFoundError(NotFoundError):
    reason = "PAYLOAD_NOT_FOUND"


class JobNotQueuedError(ForbiddenTransitionError):
    reason = "JOB_NOT_QUEUED"


class JobAlreadyFinalError(ForbiddenTransitionError):
    reason = "JOB_ALREADY_FINAL"


class TooManyActiveJobsError(QuotaError):
    reason = "TOO_MANY_ACTIVE_JOBS"


class CursorExpiredError(ExpiredError):
    reason = "CURSOR_EXPIRED"


class World:
    """What the services know; `away` names those that do not answer, `refused` counts the calls."""

    def __init__(self) -> None:
        self.jobs: dict[str, job_pb2.Job] = {}
        self.trails: dict[str, trail_pb2.GetTrailResponse] = {}
        self.bodies: dict[str, bytes] = {}
        self.why: dict[str, queue_pb2.WhyWaitingResponse] = {}
        self.accounts: list[operations_pb2.Account] = []
        self.tools = {tool.name: tool_to_proto(tool) for tool in load_registry()}
        self.balance = 540
        self.away: set[str] = set()
        self.refused: Counter[str] = Counter()
        self.runs: list[tuple[tools_pb2.RunToolHeader, dict[str, bytes]]] = []
        self.largest_chunk = 0
        self.retried: list[queue_pb2.RetryJobRequest] = []
        self.watched: list[int] = []
        self.cursors: list[str] = []
        self.active_limit = 100
        self.changes: list[str] = []
        self.changed = asyncio.Condition()

    async def put(
        self, job: job_pb2.Job | None, trail: trail_pb2.GetTrailResponse | None = None
    ) -> None:
        """Set what queue and history know of a job, and tell who watches."""
        job_id = job.job_id if job is not None else trail.job.job_id if trail is not None else ""
        async with self.changed:
            if job is not None:
                self.jobs[job_id] = job
            if trail is not None:
                self.trails[job_id] = trail
            self.changes.append(job_id)
            self.changed.notify_all()

    async def set_away(self, *services: str) -> None:
        """Let these services answer nothing from now on, and end their streams."""
        async with self.changed:
            self.away = set(services)
            self.changed.notify_all()

    def need(self, service: str) -> None:
        """Raise where the service is away."""
        if service in self.away:
            self.refused[service] += 1
            raise UnavailableError(f"{service} is away")

    def job(self, job_id: str) -> job_pb2.Job:
        """Return the queue's job."""
        if job_id not in self.jobs:
            raise JobNotFoundError(f"no job {job_id}", {"job_id": job_id})
        return self.jobs[job_id]

    def trail(self, job_id: str) -> trail_pb2.GetTrailResponse:
        """Return the job's trail."""
        if job_id not in self.trails:
            raise JobNotFoundError(f"no job {job_id}", {"job_id": job_id})
        return self.trails[job_id]

    async def new_job(self, tool: str, user_id: str, retry_of: str = "") -> job_pb2.Job:
        """Make a queued job."""
        active = [job for job in self.jobs.values() if job.status not in FINAL]
        if len(active) >= self.active_limit:
            facts = {"active_job_ids": active[0].job_id}
            raise TooManyActiveJobsError("one active job too many", facts)
        job = job_pb2.Job(
            job_id=str(uuid.uuid4()),
            tool=tool,
            user_id=user_id,
            status=job_pb2.JOB_STATUS_QUEUED,
            current_step=job_pb2.STEP_QUEUED,
            position=1,
            cost=60,
            seq=7,
            retry_of=retry_of,
        )
        job.created_at.GetCurrentTime()
        await self.put(job)
        return job
