"""Admits the requests of one batch, in order, against what the database held. No I/O.

What their callers see of new jobs is made from what is about to be committed; no read follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeAlias
from uuid import UUID

from services.queue.admission import NewJob, create
from services.queue.counter import Completion
from services.queue.domain import (
    Change,
    JobState,
    JobStatus,
    RequestIdReusedError,
    Submission,
    TimeLimits,
    ToolNotFoundError,
    TooManyActiveJobsError,
)
from services.queue.policy import Policy
from services.queue.store_intake import DeskFacts
from services.queue.store_reads import JobView
from services.runtime.ids import new_id
from services.runtime.tracing import trace_id_of

# A job's id, and whether it is new.
Taken: TypeAlias = tuple[UUID, bool]


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A checked request to admit a job. `params_sha256` covers all that makes it what it is."""

    request_id: str
    caller: str
    user_id: str
    tool: str
    variant: str
    input_json: str
    params_sha256: bytes
    traceparent: str
    file_names: Mapping[str, str] = field(default_factory=dict)
    retry_of: UUID | None = None
    # Given where nothing has to be brought first: the job is completed in the same commit.
    submission: Submission | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """The scope in which request_id is unique, and it."""
        return self.caller, self.user_id, self.request_id


class Admitted(NamedTuple):
    """The job that a request made or found. `view` is as of the commit; None if it was found."""

    job_id: UUID
    view: JobView | None

    @property
    def created(self) -> bool:
        """Whether it is new."""
        return self.view is not None


class Desk:
    """One batch of admissions.

    Whoever completes `ready` sets `completed`, the changes after their admission in order, and
    `places`, with the last one given out.
    """

    def __init__(
        self,
        now: datetime,
        policy: Policy,
        active_limit: int,
        facts: DeskFacts,
        active: dict[str, int],
    ) -> None:
        self.now = now
        self.admitted: list[tuple[NewJob, Change]] = []
        # Of these, jobs that can be completed at once.
        self.ready: list[tuple[JobState, Completion]] = []
        self.completed: Sequence[Change] = ()
        self.places: Mapping[UUID, int] = {}
        self.last_place: int | None = None
        self._policy = policy
        self._active_limit = active_limit
        self._prices = facts.prices
        self._active = active
        self._known = facts.known

    def admit(self, request: CreateRequest) -> Taken | Exception:
        """Decide on one request; those before it count."""
        if request.key in self._known:
            job_id, params_sha256 = self._known[request.key]
            if params_sha256 != request.params_sha256:
                return RequestIdReusedError(request.request_id, "tool, user or inputs")
            return job_id, False
        price = self._prices.get((request.tool, request.variant))
        if price is None:
            return ToolNotFoundError(request.tool, request.variant)
        if self._active[request.user_id] >= self._active_limit:
            return TooManyActiveJobsError(request.user_id, self._active_limit, [])
        new = _new_job(request, *price)
        change = create(new, self.now, self._policy)
        self.admitted.append((new, change))
        if request.submission is not None:
            self.ready.append((change.after, Completion.of(new.id, request.submission)))
        self._active[request.user_id] += 1
        self._known[request.key] = (new.id, request.params_sha256)
        return new.id, True

    def answers(self, taken: Sequence[Taken | Exception]) -> list[Admitted | Exception]:
        """Return what to tell the caller of each request once the batch is committed."""
        states = {change.after.id: change.after for change in self.completed}
        views = {
            new.id: _view(new, states.get(new.id, change.after), self.places.get(new.id, 0))
            for new, change in self.admitted
        }
        return [
            each
            if isinstance(each, Exception)
            else Admitted(each[0], views[each[0]] if each[1] else None)
            for each in taken
        ]


def _new_job(request: CreateRequest, cost: int, limits: TimeLimits) -> NewJob:
    return NewJob(
        id=new_id(),
        caller=request.caller,
        request_id=request.request_id,
        user_id=request.user_id,
        tool=request.tool,
        variant=request.variant,
        input_json=request.input_json,
        file_names=request.file_names,
        params_sha256=request.params_sha256,
        cost=cost,
        limits=limits,
        traceparent=request.traceparent,
        retry_of=request.retry_of,
    )


def _view(new: NewJob, job: JobState, place: int) -> JobView:
    """Return what a read after the commit would, of a job that the provider does not know yet."""
    return JobView(
        id=new.id,
        tool=new.tool,
        variant=new.variant,
        user_id=new.user_id,
        status=job.status,
        current_step=job.current_step,
        failed_at_step=job.failed_at_step,
        error_message=job.error_message,
        error_class=job.error_class,
        position=place if job.status is JobStatus.QUEUED else 0,
        attempt=job.attempt,
        cost=job.cost,
        created_at=job.created_at,
        started_at=job.started_at,
        completed_at=job.completed_at,
        retry_of=new.retry_of,
        cancel_requested_at=job.cancel_requested_at,
        outputs=(),
        trace_id=trace_id_of(new.traceparent),
        seq=job.seq,
        task_id="",
        input_json=new.input_json,
        phase=job.current.phase if job.current else None,
        accepted_at=None,
        typical_run_s=None,
    )
