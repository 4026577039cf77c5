"""Reads what the services know of a job, each as far as it answers. The queue is believed for
status, position and actions, observability for history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from etapa.observability.v1 import trail_pb2
from etapa.queue.v1 import job_pb2, queue_pb2
from etapa_client import EtapaClient, EtapaError
from etapa_client.errors import (
    DeadlineExceededError,
    JobNotFoundError,
    JobNotQueuedError,
    UnavailableError,
)
from etapa_client.names import STATUS_NAMES, STEP_NAMES
from etapa_client.words import FINAL
from services.console.shown import moment

Answer = TypeVar("Answer")

# Short, so that a page says soon what is missing instead of waiting for it.
READ_S = 4.0
AWAY = (UnavailableError, DeadlineExceededError)


@dataclass(frozen=True, slots=True)
class Story:
    """A job as far as it is known. `missing` names the services that do not answer."""

    job_id: str
    job: job_pb2.Job | None = None
    trail: trail_pb2.GetTrailResponse | None = None
    why: queue_pb2.WhyWaitingResponse | None = None
    missing: tuple[str, ...] = field(default=())

    @property
    def summary(self) -> job_pb2.Job | trail_pb2.JobSummary:
        """Return who is believed for what both have."""
        if self.job is not None:
            return self.job
        return self.trail.job if self.trail is not None else trail_pb2.JobSummary()

    @property
    def status(self) -> str:
        """Return the status."""
        status = self.summary.status
        return STATUS_NAMES.get(status, str(int(status)))

    @property
    def step(self) -> str:
        """Return the current step."""
        step = self.summary.current_step
        return STEP_NAMES.get(step, str(int(step)))

    @property
    def failed_at_step(self) -> str:
        """Return where the cause lies; empty unless failed."""
        return STEP_NAMES.get(self.summary.failed_at_step, "")

    @property
    def is_final(self) -> bool:
        """Tell whether the status never changes any more."""
        return self.status in FINAL

    @property
    def is_settled(self) -> bool:
        """Tell whether nothing more is expected: it is final, and its history is all here."""
        return self.is_final and self.trail is not None and not self.arriving

    @property
    def seq(self) -> int:
        """Return the number of the last event that either knows."""
        known = self.job.seq if self.job is not None else 0
        return max(known, self.through_seq)

    @property
    def through_seq(self) -> int:
        """Return the number up to which the history is complete."""
        return self.trail.through_seq if self.trail is not None else 0

    @property
    def arriving(self) -> int:
        """Return how many events the history does not have yet."""
        known = self.job.seq if self.job is not None else 0
        return max(known - self.through_seq, 0)

    @property
    def outputs(self) -> list[job_pb2.Output]:
        """Return what the job made."""
        return list(self.summary.outputs) or (
            list(self.trail.job.outputs) if self.trail is not None else []
        )

    @property
    def task_id(self) -> str:
        """Return the provider's id of the last task."""
        return self.summary.task_id or (self.trail.job.task_id if self.trail else "")

    @property
    def verdict(self) -> trail_pb2.Verdict | None:
        """Return the verdict of a failed job whose history is here."""
        if self.trail is None or not self.trail.HasField("verdict"):
            return None
        return self.trail.verdict

    @property
    def created_at(self) -> datetime | None:
        """Return when it was created."""
        return moment(self.summary.created_at)

    @property
    def completed_at(self) -> datetime | None:
        """Return when it ended."""
        return moment(self.summary.completed_at)


async def read_story(client: EtapaClient, job_id: str) -> Story:
    """Return what is known. Raises JobNotFoundError where nobody who answers knows the job, and
    UnavailableError where nobody answers.
    """
    job, trail = await asyncio.gather(
        _settled(client.queue.get_job(job_id, timeout_s=READ_S)),
        _settled(client.trail.get_trail(job_id, timeout_s=READ_S)),
    )
    missing = tuple(
        name
        for name, answer in (("queue", job), ("observability", trail))
        if isinstance(answer, EtapaError) and not isinstance(answer, JobNotFoundError)
    )
    if isinstance(job, EtapaError) and isinstance(trail, EtapaError):
        raise _weightier(job, trail)
    known = None if isinstance(job, EtapaError) else job
    why = await _why(client, known)
    return Story(job_id, known, None if isinstance(trail, EtapaError) else trail, why, missing)


async def _settled(call: Awaitable[Answer]) -> Answer | EtapaError:
    try:
        return await call
    except (JobNotFoundError, *AWAY) as error:
        return error


def _weightier(one: EtapaError, other: EtapaError) -> EtapaError:
    # "Not found" by one alone is no news while the other is away.
    return one if not isinstance(one, JobNotFoundError) else other


async def _why(client: EtapaClient, job: job_pb2.Job | None) -> queue_pb2.WhyWaitingResponse | None:
    if job is None or job.status != job_pb2.JOB_STATUS_QUEUED:
        return None
    try:
        return await client.queue.why_waiting(job.job_id, timeout_s=READ_S)
    except (JobNotQueuedError, JobNotFoundError, *AWAY):
        # It left the queue a moment ago, or the sentence can wait for the next look.
        return None
