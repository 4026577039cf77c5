"""A job's whole story: its trail, and what the queue says of it; read once, or once it is whole."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from etapa.observability.v1 import trail_pb2
from etapa.queue.v1 import job_pb2
from etapa_client import EtapaClient
from etapa_client.errors import (
    DeadlineExceededError,
    EtapaError,
    JobNotFoundError,
    UnavailableError,
)
from etapa_client.names import STATUS_NAMES, STEP_NAMES
from etapa_client.trail import trail_to_json
from services.cli.backoff import pauses

CATCH_UP_S = 30.0
# A service that gives no answer in time is as good as away: the other one's is shown.
AWAY = (UnavailableError, DeadlineExceededError)


@dataclass(frozen=True, slots=True)
class Story:
    """A trail with what the queue says of the job, if it says anything."""

    trail: trail_pb2.GetTrailResponse
    job: job_pb2.Job | None

    @property
    def status(self) -> str:
        """Return the status; the queue is believed."""
        status = self.job.status if self.job is not None else self.trail.job.status
        return STATUS_NAMES.get(status, str(int(status)))

    @property
    def step(self) -> str:
        """Return the current step."""
        step = self.job.current_step if self.job is not None else self.trail.job.current_step
        return STEP_NAMES.get(step, str(int(step)))

    @property
    def failed_at_step(self) -> str:
        """Return where the cause of a failure lies; empty if it did not fail."""
        of_job = self.job.failed_at_step if self.job is not None else job_pb2.STEP_UNSPECIFIED
        return STEP_NAMES.get(of_job or self.trail.job.failed_at_step, "")

    @property
    def error_message(self) -> str:
        """Return the real message; empty if it did not fail."""
        of_job = self.job.error_message if self.job is not None else ""
        return of_job or self.trail.job.error_message

    @property
    def outputs(self) -> list[job_pb2.Output]:
        """Return what the job made."""
        of_job = list(self.job.outputs) if self.job is not None else []
        return of_job or list(self.trail.job.outputs)

    @property
    def arriving(self) -> int:
        """Return how many events the trail does not have yet."""
        return max(self.job.seq - self.trail.through_seq, 0) if self.job is not None else 0


async def read_story(client: EtapaClient, job_id: str) -> tuple[Story, EtapaError | None]:
    """Return the story with what is away, if one of the two services does not answer.

    Raises JobNotFoundError where neither knows the job, and one of `AWAY` where both are away.
    """
    answers = await asyncio.gather(
        client.trail.get_trail(job_id), client.queue.get_job(job_id), return_exceptions=True
    )
    trail, job = answers
    problems = [answer for answer in answers if isinstance(answer, BaseException)]
    for problem in problems:
        if not isinstance(problem, (JobNotFoundError, *AWAY)):
            raise problem
    away = [problem for problem in problems if isinstance(problem, AWAY)]
    if isinstance(trail, BaseException) and isinstance(job, BaseException):
        raise (away or problems)[0]
    found_job = None if isinstance(job, BaseException) else job
    if isinstance(trail, BaseException):  # the queue knows it, its history is on the way
        trail = trail_pb2.GetTrailResponse(job=trail_pb2.JobSummary(job_id=job_id))
    return Story(trail, found_job), away[0] if away else None


async def read_whole_story(
    client: EtapaClient, job_id: str, timeout_s: float = CATCH_UP_S
) -> Story:
    """Return the story once the trail has all that the queue has told, or after `timeout_s`.

    What is missing then is in `arriving`. Raises one of `AWAY` where the history is away.
    """
    job = await client.queue.get_job(job_id)
    with suppress(TimeoutError):  # what there is, is shown; `arriving` tells what is not
        async with asyncio.timeout(timeout_s):
            await _reach(client, job_id, job.seq)
    story, away = await read_story(client, job_id)
    if away is not None:
        raise away
    return story


async def _reach(client: EtapaClient, job_id: str, seq: int) -> None:
    """Return once the trail's contiguous history reaches an event."""
    for pause_s in pauses():
        with suppress(JobNotFoundError):  # its first event is still on the way
            trail = await client.trail.get_trail(job_id)
            if trail.through_seq >= seq:
                return
            events = client.trail.watch(job_id, trail.through_seq, follow=True)
            async with aclosing(events):
                async for event in events:
                    if event.seq >= seq:
                        return
        await asyncio.sleep(pause_s)


def story_to_json(story: Story) -> dict[str, Any]:
    """Return the story as the one object of the JSON contract."""
    return trail_to_json(story.trail, story.job)
