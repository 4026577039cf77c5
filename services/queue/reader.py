"""Reads jobs as callers see them. Concurrent reads become one query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.queue import store_reads
from services.queue.domain import JobNotFoundError, JobStatus, Phase
from services.queue.store_reads import JobFilter, JobView
from services.runtime.batch import Batcher
from services.runtime.db import Pool
from services.runtime.page import make_token, read_token

# An estimate never says "done".
MAX_ESTIMATE = 95


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs, newest first; `next_token` is empty on the last page."""

    jobs: Sequence[JobView]
    next_token: str


class Reader:
    """Reads jobs, many at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._batcher: Batcher[UUID, JobView] = Batcher(self._read, name="reads")

    async def get(self, job_id: UUID) -> JobView:
        """Return a job with its position. Raises `JobNotFoundError`."""
        return await self._batcher.submit(job_id)

    async def get_all(self, job_ids: Sequence[UUID]) -> list[JobView | Exception]:
        """Return what `get` would return or raise for each job."""
        return await self._batcher.submit_all(job_ids)

    async def list_jobs(self, wanted: JobFilter, size: int, token: str) -> Page:
        """Return one page, newest first. Raises `BadPageTokenError`."""
        below = read_token(token, wanted)
        async with self._pool.acquire() as conn:
            ids = await store_reads.list_jobs(conn, wanted, below, size + 1)
            views = await store_reads.read_views(conn, ids[:size])
        # A job that is pruned between the two reads is left out.
        jobs = [views[job_id] for job_id in ids[:size] if job_id in views]
        has_more = len(ids) > size
        return Page(jobs, make_token(ids[size - 1], wanted) if has_more else "")

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        await self._batcher.drain()

    async def _read(self, job_ids: Sequence[UUID]) -> list[JobView | Exception]:
        async with self._pool.acquire() as conn:
            views = await store_reads.read_views(conn, set(job_ids))
        return [views.get(job_id) or JobNotFoundError(str(job_id)) for job_id in job_ids]


def estimate_percent(view: JobView, now: datetime) -> int | None:
    """Guess how far a running job is from its tool's usual duration; None where nobody can say."""
    if view.status is not JobStatus.RUNNING:
        return None
    if view.phase is Phase.FINALISING:
        return MAX_ESTIMATE
    if view.accepted_at is None or not view.typical_run_s:
        return None
    elapsed_s = (now - view.accepted_at).total_seconds()
    return max(0, min(MAX_ESTIMATE, int(elapsed_s / view.typical_run_s * 100)))
