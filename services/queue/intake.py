"""How jobs come in: admission, completion under the gate, and new jobs made from old ones.

Each of the two writes is group-committed. What a job may become is decided in `admission.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.queue import store
from services.queue.admission import NewJob, create
from services.queue.claim import Entrance, Entrances
from services.queue.counter import Completion, Counter, open_counter
from services.queue.domain import (
    Change,
    JobNotFinalError,
    JobNotFoundError,
    JobNotRetryableError,
    JobState,
    RequestIdReusedError,
    Submission,
    TimeLimits,
    ToolNotFoundError,
    TooManyActiveJobsError,
)
from services.queue.transitions import Transitions, merge_changes
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
    # Given where nothing has to be brought first: the job is completed in the same commit.
    submission: Submission | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """The scope in which request_id is unique, and it."""
        return self.caller, self.user_id, self.request_id


class Intake:
    """Admits and completes jobs. `active_limit` is how many a user may have open at a time.

    By `entrances`, if given, jobs start in the commit that completes them where nobody waits.
    """

    def __init__(
        self,
        transitions: Transitions,
        active_limit: int,
        global_limit: int,
        entrances: Entrances | None = None,
    ) -> None:
        self._transitions = transitions
        self._entrances = entrances or Entrances()
        self._active_limit = active_limit
        self._global_limit = global_limit
        self._creates: Batcher[CreateRequest, tuple[UUID, bool]] = Batcher(
            self._create_batch, name="create"
        )
        self._submits: Batcher[Completion, None] = Batcher(
            self._submit_batch, name="submit", key=lambda item: item.job_id
        )

    async def create(self, request: CreateRequest) -> tuple[UUID, bool]:
        """Admit a job; return its id and whether it is new. Idempotent by request id."""
        job_id, created = await self._creates.submit(request)
        if request.submission is not None and not created:
            try:
                await self.submit(job_id, request.submission)
            except RequestIdReusedError as error:
                raise RequestIdReusedError(request.request_id, "media or nodes") from error
        return job_id, created

    async def submit(self, job_id: UUID, submission: Submission) -> None:
        """Complete a pending job. Idempotent: the same content changes nothing."""
        await self._submits.submit(Completion.of(job_id, submission))

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
            submission=template.submission,
        )
        return await self.create(request)

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        await self._creates.drain()
        await self._submits.drain()

    async def _create_batch(
        self, requests: Sequence[CreateRequest]
    ) -> list[tuple[UUID, bool] | Exception]:
        users = {request.user_id for request in requests}
        ready = sum(request.submission is not None for request in requests)
        with self._entrances.open(ready) as entrance:
            async with transaction(self._transitions.pool) as conn:
                enqueue_seq = await store.lock_gate(conn) if ready else 0
                prices = await store.read_prices(conn, ((r.tool, r.variant) for r in requests))
                await store.ensure_users(conn, users)
                active = await store.lock_users(conn, users)
                known = await store.find_requests(conn, [r.key for r in requests])
                desk = _Desk(self._transitions, self._active_limit, prices, active, known)
                results = [desk.admit(request) for request in requests]
                changes = await self._enter(conn, desk, enqueue_seq, entrance)
                await self._name_active_jobs(conn, results)
        self._transitions.announce(changes)
        return results

    async def _enter(
        self, conn: Connection, desk: _Desk, enqueue_seq: int, entrance: Entrance
    ) -> list[Change]:
        """Write the admitted jobs, each as far as it gets at once."""
        if not desk.admitted:
            return []
        admitted = [change for _, change in desk.admitted]
        completed = await self._complete_new(conn, desk, enqueue_seq, entrance)
        changes = merge_changes([*admitted, *completed])
        await store.insert_jobs(conn, [new for new, _ in desk.admitted], changes, desk.now)
        return changes

    async def _complete_new(
        self, conn: Connection, desk: _Desk, enqueue_seq: int, entrance: Entrance
    ) -> list[Change]:
        """Complete those of the jobs just admitted that wait for nothing."""
        if not desk.ready:
            return []
        counter = await self._open_counter(
            conn, {job.user_id for job, _ in desk.ready}, enqueue_seq, desk.now
        )
        inputs = {new.id: new.input_json for new, _ in desk.admitted}
        for job, completion in desk.ready:
            counter.complete(job, completion, inputs)
        await store.set_enqueue_seq(conn, counter.enqueue_seq)
        started = await entrance.claim(conn, counter.changes, counter.met, desk.now)
        return [*counter.changes, *started]

    async def _open_counter(
        self, conn: Connection, users: set[str], enqueue_seq: int, now: datetime
    ) -> Counter:
        policy = self._transitions.policy
        return await open_counter(conn, users, enqueue_seq, now, policy, self._global_limit)

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

    async def _submit_batch(self, items: Sequence[Completion]) -> list[Exception | None]:
        with self._entrances.open(len(items)) as entrance:
            async with transaction(self._transitions.pool) as conn:
                results, changes = await self._submit(conn, items, entrance)
        self._transitions.announce(changes)
        return results

    async def _submit(
        self, conn: Connection, items: Sequence[Completion], entrance: Entrance
    ) -> tuple[list[Exception | None], list[Change]]:
        ids = [item.job_id for item in items]
        enqueue_seq = await store.lock_gate(conn)
        jobs = await store.lock_jobs(conn, ids)
        users = {job.user_id for job in jobs.values()}
        await store.lock_users(conn, users)
        inputs = await store.read_inputs(conn, ids)
        now = self._transitions.clock()
        counter = await self._open_counter(conn, users, enqueue_seq, now)
        results = [counter.complete(jobs.get(item.job_id), item, inputs) for item in items]
        if not counter.changes:
            return results, []
        started = await entrance.claim(conn, counter.changes, counter.met, now)
        changes = merge_changes([*counter.changes, *started])
        await store.write_changes(conn, changes, now)
        await store.set_enqueue_seq(conn, counter.enqueue_seq)
        return results, changes


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
        # Of these, jobs that can be completed at once.
        self.ready: list[tuple[JobState, Completion]] = []
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
        change = create(new, self.now, self._policy)
        self.admitted.append((new, change))
        if request.submission is not None:
            self.ready.append((change.after, Completion.of(new.id, request.submission)))
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
