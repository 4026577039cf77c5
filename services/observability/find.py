"""Finds jobs by any id that a person may have at hand."""

from __future__ import annotations

import re
from uuid import UUID

from services.observability.fold import Projection, bare_url, key_of
from services.observability.store import read, write
from services.observability.store.row import JobFilter
from services.runtime.db import Pool
from services.runtime.errors import InvalidInputError

MAX_QUERY_CHARS = 2000
MAX_MATCHES = 50
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_RANK = ("job_id", "task_id", "trace_id", "delivery_id", "request_id", "output_url", "user_id")


async def find_jobs(pool: Pool, query: str) -> list[tuple[Projection, str]]:
    """Return (job, what matched), newest job first. Raises `InvalidInputError`."""
    query = query.strip()
    if not 1 <= len(query) <= MAX_QUERY_CHARS:
        raise InvalidInputError(f"query has 1 to {MAX_QUERY_CHARS} characters", "query")
    matched: dict[UUID, str] = {}
    job_id = _as_uuid(query)
    if job_id is not None:
        matched[job_id] = "job_id"
    async with pool.acquire() as conn:
        for text in _forms(query, job_id):
            for found, kind in await read.find_keys(conn, key_of(text), MAX_MATCHES):
                matched[found] = min(matched.get(found, kind), kind, key=_RANK.index)
        jobs = {job.job_id: job for job in await write.read_projections(conn, matched)}
        wanted = JobFilter(user_id=query)
        for job in await read.list_jobs(conn, wanted, None, MAX_MATCHES):
            jobs[job.job_id] = job
            matched.setdefault(job.job_id, "user_id")
    shown = [job for job in jobs.values() if job.status is not None]
    shown.sort(key=lambda job: job.job_id, reverse=True)
    return [(job, matched[job.job_id]) for job in shown[:MAX_MATCHES]]


def _forms(query: str, as_uuid: UUID | None) -> list[str]:
    """Return the texts under which the id may have been kept."""
    forms = {query, query.lower()}
    if as_uuid is not None:
        forms |= {str(as_uuid), as_uuid.hex}
    traceparent = _TRACEPARENT.fullmatch(query.lower())
    if traceparent:
        forms.add(traceparent[1])
    if "://" in query:
        forms.add(bare_url(query))
    return sorted(forms)


def _as_uuid(query: str) -> UUID | None:
    try:
        return UUID(query)
    except ValueError:
        return None
