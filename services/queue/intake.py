"""How jobs come in: admission, completion under the gate, and new jobs made from old ones.

Each of the two writes is group-committed. What a job may become is decided in `admission.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec

from services.queue import store
from services.queue.admission import NewJob, QueueView, create, submit
from services.queue.domain import (
    MAX_EXACT_POSITION,
    Change,
    JobNotFinalError,
    JobNotFoundError,
    JobNotRetryableError,
    JobState,
    JobStatus,
    RequestIdReusedError,
    Submission,
    TimeLimits,
    ToolNotFoundError,
    TooManyActiveJobsError,
)
from services.queue.rows import submission_to_json
from services.queue.transitions import Transitions
from services.runtime.batch import Batcher
from services.runtime.db import Connection, transaction
from services.runtime.ids import new_id

_SHOWN_ACTIVE_JOBS = 10


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

    @property
    def key(self) -> tuple[str, str, str]:
        """The scope in which request_id is unique, and it."""
        return self.caller, self.user_id, self.request_id


@dataclass(frozen=True, slots=True)
class _Submit:
    job_id: UUID
    submission: Submission
    sha256: bytes


class Intake:
    """Admits and completes jobs. `active_limit` is how many a user may have open at a time."""

    def __init__(self, transitions: Transitions, active_limit: int, global_limit: int) -> None:
        self._transitions = transitions
        self._active_limit = active_limit
        self._global_limit = global_limit
        self._creates: Batcher[CreateRequest, tuple[UUID, bool]] = Batcher(
            self._create_batch, name="create"
        )
        self._submits: Batcher[_Submit, None] = Batcher(
            self._submit_batch, name="submit", key=lambda item: item.job_id
        )

    async def create(self, request: CreateRequest) -> tuple[UUID, bool]:
        """Admit a job; return its id and whether it is new. Idempotent by request id."""
        return await self._creates.submit(request)

    async def submit(self, job_id: UUID, submission: Submission) -> None:
        """Complete a pending job. Idempotent: the same content changes nothing."""
        digest = hashlib.sha256(submission_to_json(submission).encode()).digest()
        await self._submits.submit(_Submit(job_id, submission, digest))

    async def retry(
        self, job_id: UUID, request_id: str, caller: str, traceparent: str
    ) -> tuple[UUID, bool]:
        """Make a new job from a final one, with the same inputs and media."""
        async with self._transitions.pool.acquire() as conn:
            template = await store.read_template(conn, job_id)
        if template is None:
            raise JobNotFoundError(str(job_id))
        if not template.status.is_final:
            raise JobNotFinalError(job_id, template.status)
        if template.submission is None:
            raise JobNotRetryableError(job_id)
        request = CreateRequest(
            request_id=request_id,
            caller=caller,
            user_id=template.user_id,
            tool=template.tool,
            variant=template.variant,
            input_json=template.input_json,
            params_sha256=hashlib.sha256(f"retry of {job_id}".encode()).digest(),
            traceparent=traceparent,
            file_names={m.name: m.file_name for m in template.submission.media},
            retry_of=job_id,
        )
        new_job_id, created = await self.create(request)
        await self.submit(new_job_id, template.submission)
        return new_job_id, created

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        await self._creates.drain()
        await self._submits.drain()

    async def _create_batch(
        self, requests: Sequence[CreateRequest]
    ) -> list[tuple[UUID, bool] | Exception]:
        users = {request.user_id for request in requests}
        async with transaction(self._transitions.pool) as conn:
            prices = await store.read_prices(conn, ((r.tool, r.variant) for r in requests))
            await store.ensure_users(conn, users)
            active = await store.lock_users(conn, users)
            known = await store.find_requests(conn, [r.key for r in requests])
            desk = _Desk(self._transitions, self._active_limit, prices, active, known)
            results = [desk.admit(request) for request in requests]
            if desk.admitted:
                await store.insert_jobs(conn, desk.admitted)
                changes = [change for _, change in desk.admitted]
                await store.write_changes(conn, [], desk.now, created=changes)
            await self._name_active_jobs(conn, results)
        self._transitions.announce([change for _, change in desk.admitted])
        return results

    async def _name_active_jobs(
        self, conn: Connection, results: list[tuple[UUID, bool] | Exception]
    ) -> None:
        refused = {i: r for i, r in enumerate(results) if isinstance(r, TooManyActiveJobsError)}
        if not refused:
            return
        users = {error.user_id for error in refused.values()}
        active = await store.read_active_jobs(conn, users, _SHOWN_ACTIVE_JOBS)
        for i, error in refused.items():
            jobs = active.get(error.user_id, [])
            results[i] = TooManyActiveJobsError(error.user_id, self._active_limit, jobs)

    async def _submit_batch(self, items: Sequence[_Submit]) -> list[Exception | None]:
        transitions, ids = self._transitions, [item.job_id for item in items]
        async with transaction(transitions.pool) as conn:
            enqueue_seq = await store.lock_gate(conn)
            jobs = await store.lock_jobs(conn, ids)
            users = {job.user_id for job in jobs.values()}
            await store.lock_users(conn, users)
            now = transitions.clock()
            counter = _Counter(
                inputs=await store.read_inputs(conn, ids),
                balances=await store.read_balances(conn, users),
                queue=await store.read_queue_view(
                    conn, now, self._global_limit, MAX_EXACT_POSITION + 1
                ),
                enqueue_seq=enqueue_seq,
            )
            results = [
                _complete(jobs.get(item.job_id), item, counter, now, transitions) for item in items
            ]
            changes = counter.changes
            if changes:
                await store.write_changes(conn, changes, now)
                await store.set_enqueue_seq(conn, counter.enqueue_seq)
        transitions.announce(changes)
        return results


class _Desk:
    """Admits the requests of one batch, in order, against what the database held."""

    def __init__(
        self,
        transitions: Transitions,
        active_limit: int,
        prices: Mapping[tuple[str, str], tuple[int, TimeLimits]],
        active: dict[str, int],
        known: dict[tuple[str, str, str], tuple[UUID, bytes]],
    ) -> None:
        self.now = transitions.clock()
        self.admitted: list[tuple[NewJob, Change]] = []
        self._policy = transitions.policy
        self._active_limit = active_limit
        self._prices = prices
        self._active = active
        self._known = known

    def admit(self, request: CreateRequest) -> tuple[UUID, bool] | Exception:
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
        self.admitted.append((new, create(new, self.now, self._policy)))
        self._active[request.user_id] += 1
        self._known[request.key] = (new.id, request.params_sha256)
        return new.id, True


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


@dataclass(slots=True)
class _Counter:
    """What one batch of completions shares: places, balances, the length of the queue."""

    inputs: Mapping[UUID, str]
    balances: dict[str, dict[str, int]]
    queue: QueueView
    enqueue_seq: int
    changes: list[Change] = field(default_factory=list)

    def take(self, change: Change) -> None:
        """Book a completion, so that the next one in the batch sees it."""
        self.changes.append(change)
        job = change.after
        if job.status is not JobStatus.QUEUED:
            return
        self.enqueue_seq += 1
        length = min(self.queue.queue_length + 1, MAX_EXACT_POSITION + 1)
        self.queue = QueueView(self.queue.slots_available, self.queue.global_running, length)
        for bucket, amount in (job.charge or {}).items():
            self.balances[job.user_id][bucket] -= amount


def _complete(
    job: JobState | None,
    item: _Submit,
    counter: _Counter,
    now: datetime,
    transitions: Transitions,
) -> Exception | None:
    if job is None:
        return JobNotFoundError(str(item.job_id))
    if job.status is not JobStatus.PENDING:
        if job.submission_sha256 not in (None, item.sha256):
            return RequestIdReusedError(str(item.job_id), "media or nodes")
        return None
    change = submit(
        job,
        item.submission,
        item.sha256,
        msgspec.Raw(counter.inputs[job.id].encode()),
        counter.balances.get(job.user_id, {}),
        counter.queue,
        counter.enqueue_seq + 1,
        now,
        transitions.policy,
    )
    counter.take(change)
    return None
