"""How jobs come in: admission, completion under the gate, and new jobs made from old ones.

Each of the two writes is group-committed. What a job may become is decided in `admission.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.queue import store, store_intake
from services.queue.claim import Entrance, Entrances
from services.queue.counter import Completion, Counter
from services.queue.desk import Admitted, CreateRequest, Desk, Taken
from services.queue.domain import (
    Change,
    JobNotFinalError,
    JobNotFoundError,
    JobNotRetryableError,
    RequestIdReusedError,
    Submission,
    TooManyActiveJobsError,
)
from services.queue.transitions import Transitions, merge_changes
from services.runtime.batch import Batcher
from services.runtime.db import Connection, transaction

_SHOWN_ACTIVE_JOBS = 10


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
        self._creates: Batcher[CreateRequest, Admitted] = Batcher(self._create_batch, name="create")
        self._submits: Batcher[Completion, None] = Batcher(
            self._submit_batch, name="submit", key=lambda item: item.job_id
        )

    async def create(self, request: CreateRequest) -> Admitted:
        """Admit a job, or find it. Idempotent by request id."""
        admitted = await self._creates.submit(request)
        if not admitted.created:
            await self._complete_found(admitted.job_id, request)
        return admitted

    async def create_all(self, requests: Sequence[CreateRequest]) -> list[Admitted | Exception]:
        """Admit several jobs in order, each as by `create`; return its answer or its error."""
        results = await self._creates.submit_all(requests)
        found = {
            i: self._complete_found(result.job_id, requests[i])
            for i, result in enumerate(results)
            if isinstance(result, Admitted) and not result.created
        }
        if found:
            completed = await asyncio.gather(*found.values(), return_exceptions=True)
            for i, error in zip(found, completed, strict=True):
                if isinstance(error, Exception):
                    results[i] = error
        return results

    async def submit(self, job_id: UUID, submission: Submission) -> None:
        """Complete a pending job. Idempotent: the same content changes nothing."""
        await self._submits.submit(Completion.of(job_id, submission))

    async def retry(self, job_id: UUID, request_id: str, caller: str, traceparent: str) -> Admitted:
        """Make a new job from a final one, with the same inputs and media."""
        async with self._transitions.pool.acquire() as conn:
            template = await store_intake.read_template(conn, job_id)
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

    async def _complete_found(self, job_id: UUID, request: CreateRequest) -> None:
        """Complete a job that an earlier call of the same request made, unless that has done so."""
        if request.submission is None:
            return
        try:
            await self.submit(job_id, request.submission)
        except RequestIdReusedError as error:
            raise RequestIdReusedError(request.request_id, "media or nodes") from error

    async def _create_batch(self, requests: Sequence[CreateRequest]) -> list[Admitted | Exception]:
        users = {request.user_id for request in requests}
        ready = sum(request.submission is not None for request in requests)
        with self._entrances.open(ready) as entrance:
            async with transaction(self._transitions.pool) as conn:
                enqueue_seq = await store.lock_gate(conn) if ready else 0
                active = await _lock_users(conn, users)
                facts = await store_intake.read_desk(
                    conn, ((r.tool, r.variant) for r in requests), [r.key for r in requests]
                )
                now, policy = self._transitions.clock(), self._transitions.policy
                desk = Desk(now, policy, self._active_limit, facts, active)
                results = [desk.admit(request) for request in requests]
                changes = await self._enter(conn, desk, enqueue_seq, entrance)
                await self._name_active_jobs(conn, results)
        self._transitions.announce(changes)
        return desk.answers(results)

    async def _enter(
        self, conn: Connection, desk: Desk, enqueue_seq: int, entrance: Entrance
    ) -> list[Change]:
        """Write the admitted jobs, each as far as it gets at once."""
        if not desk.admitted:
            return []
        await self._complete_new(conn, desk, enqueue_seq, entrance)
        changes = merge_changes([*(change for _, change in desk.admitted), *desk.completed])
        jobs = [new for new, _ in desk.admitted]
        await store.insert_jobs(conn, jobs, changes, desk.now, desk.last_place)
        return changes

    async def _complete_new(
        self, conn: Connection, desk: Desk, enqueue_seq: int, entrance: Entrance
    ) -> None:
        """Complete those of the jobs just admitted that wait for nothing."""
        if not desk.ready:
            return
        users = {job.user_id for job, _ in desk.ready}
        counter = await self._open_counter(conn, users, enqueue_seq, desk.now, entrance)
        inputs = {new.id: new.input_json for new, _ in desk.admitted}
        for job, completion in desk.ready:
            counter.complete(job, completion, inputs)
        started = await entrance.claim(counter.changes, counter.met, desk.now)
        desk.completed, desk.places = [*counter.changes, *started], counter.places
        desk.last_place = counter.enqueue_seq

    async def _open_counter(
        self,
        conn: Connection,
        users: set[str],
        enqueue_seq: int,
        now: datetime,
        entrance: Entrance,
    ) -> Counter:
        met = await store_intake.read_entrance(
            conn, users, now, global_limit=self._global_limit, slots=entrance.room
        )
        return Counter(met, enqueue_seq, now, self._transitions.policy)

    async def _name_active_jobs(self, conn: Connection, results: list[Taken | Exception]) -> None:
        refused = {i: r for i, r in enumerate(results) if isinstance(r, TooManyActiveJobsError)}
        if not refused:
            return
        users = {error.user_id for error in refused.values()}
        active = await store_intake.read_active_jobs(conn, users, _SHOWN_ACTIVE_JOBS)
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
        inputs = await store_intake.read_inputs(conn, ids)
        now = self._transitions.clock()
        counter = await self._open_counter(conn, users, enqueue_seq, now, entrance)
        results = [counter.complete(jobs.get(item.job_id), item, inputs) for item in items]
        if not counter.changes:
            return results, []
        started = await entrance.claim(counter.changes, counter.met, now)
        changes = merge_changes([*counter.changes, *started])
        await store.write_changes(conn, changes, now, last_place=counter.enqueue_seq)
        return results, changes


async def _lock_users(conn: Connection, users: set[str]) -> dict[str, int]:
    """Lock users, and make those not seen before; return how many active jobs each has."""
    active = await store.lock_users(conn, users)
    if len(active) < len(users):
        await store.ensure_users(conn, users)
        active = await store.lock_users(conn, users)
    return active
