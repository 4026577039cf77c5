"""Lists of jobs by pages."""

from __future__ import annotations

from dataclasses import dataclass

from services.observability.fold import Projection
from services.observability.store import read
from services.observability.store.row import JobFilter
from services.runtime.db import Pool
from services.runtime.page import make_token, page_size, read_token

MAX_PAGE = 200
DEFAULT_PAGE = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs, newest first; `next_token` is empty on the last page."""

    jobs: list[Projection]
    next_token: str


async def list_page(pool: Pool, wanted: JobFilter, size: int, token: str) -> Page:
    """Return one page. Raises `BadPageTokenError`, or `InvalidInputError` on a bad size."""
    size = page_size(size, DEFAULT_PAGE, MAX_PAGE)
    before = read_token(token, wanted) if token else None
    async with pool.acquire() as conn:
        jobs = await read.list_jobs(conn, wanted, before, size + 1)
    has_more = len(jobs) > size
    jobs = jobs[:size]
    return Page(jobs, make_token(jobs[-1].job_id, wanted) if has_more else "")
