"""Lists of jobs by pages; a token is opaque and bound to the filters it was made for."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from uuid import UUID

from services.observability.fold import Projection
from services.observability.store import read
from services.observability.store.row import JobFilter
from services.runtime.db import Pool
from services.runtime.errors import InvalidInputError

MAX_PAGE = 200
DEFAULT_PAGE = 50


class BadPageTokenError(InvalidInputError):
    """A page token that is not ours, or belongs to other filters."""

    reason = "INVALID_PAGE_TOKEN"

    def __init__(self) -> None:
        super().__init__(
            "page_token is not from a page of these filters: start without one", "page_token"
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs, newest first; `next_token` is empty on the last page."""

    jobs: list[Projection]
    next_token: str


async def list_page(pool: Pool, wanted: JobFilter, size: int, token: str) -> Page:
    """Return one page. Raises `BadPageTokenError`, or `InvalidInputError` on a bad size."""
    if not 0 <= size <= MAX_PAGE:
        raise InvalidInputError(f"page_size={size} is not within 1 and {MAX_PAGE}", "page_size")
    size = size or DEFAULT_PAGE
    before = _read_token(token, wanted) if token else None
    async with pool.acquire() as conn:
        jobs = await read.list_jobs(conn, wanted, before, size + 1)
    has_more = len(jobs) > size
    jobs = jobs[:size]
    return Page(jobs, _make_token(jobs[-1].job_id, wanted) if has_more else "")


def _make_token(last: UUID, wanted: JobFilter) -> str:
    return base64.urlsafe_b64encode(_digest(wanted) + last.bytes).decode()


def _read_token(token: str, wanted: JobFilter) -> UUID:
    try:
        raw = base64.urlsafe_b64decode(token)
    except ValueError as error:
        raise BadPageTokenError from error
    if len(raw) != 24 or raw[:8] != _digest(wanted):
        raise BadPageTokenError
    return UUID(bytes=raw[8:])


def _digest(wanted: JobFilter) -> bytes:
    return hashlib.sha256(repr(wanted).encode()).digest()[:8]
