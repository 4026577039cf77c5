"""Reads for people and programs: trails, lists, lookups, payloads. Made for millions of jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.observability.domain import PHASES
from services.observability.fold import Projection
from services.observability.store import SQL
from services.observability.store.row import (
    Chapter,
    JobFilter,
    PayloadExtra,
    StoredPayload,
    chapter_of,
    kept_of,
    projection_of,
)
from services.runtime.db import Connection

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
# A job's id is made a moment before its first step is committed.
_CLOCK_SLACK = timedelta(hours=1)


async def read_job(conn: Connection, job_id: UUID) -> Projection | None:
    """Return a job's projection; None before its first event."""
    row = await conn.fetchrow(SQL["read_job"], job_id)
    return None if row is None else projection_of(row)


async def read_chapters(
    conn: Connection, job_id: UUID, after_seq: int, through_seq: int, limit: int
) -> list[Chapter]:
    """Return a job's chapters with the next `limit` events after `after_seq`, in order."""
    rows = await conn.fetch(SQL["read_chapters"], job_id, after_seq, through_seq, limit)
    return [Chapter(*row.values()) for row in rows]


async def read_first_chapters(
    conn: Connection, job_id: UUID, letter: str, through_seq: int, limit: int
) -> list[Chapter]:
    """Return a job's chapters with its first `limit` events of one kind, in order."""
    rows = await conn.fetch(SQL["read_first_chapters"], job_id, letter, through_seq, limit)
    return [Chapter(*row.values()) for row in rows]


async def read_last_chapters(
    conn: Connection, job_id: UUID, letter: str, through_seq: int, limit: int
) -> list[Chapter]:
    """Return a job's chapters with its last `limit` events of one kind, in order."""
    rows = await conn.fetch(SQL["read_last_chapters"], job_id, letter, through_seq, limit)
    return [Chapter(*row.values()) for row in reversed(rows)]


async def read_payload_extras(
    conn: Connection, job_id: UUID, through_seq: int, limit: int
) -> list[PayloadExtra]:
    """Return what was learned of a job's payloads after their events."""
    rows = await conn.fetch(SQL["read_payload_extras"], job_id, through_seq, limit)
    return [PayloadExtra(*row.values()) for row in rows]


async def read_payload(conn: Connection, job_id: UUID, payload_id: UUID) -> StoredPayload | None:
    """Return one payload with its body; None where there is none."""
    row = await conn.fetchrow(SQL["read_payload"], job_id, payload_id)
    if row is None:
        return None
    return StoredPayload(
        kept_of(row),
        row["info"],
        chapter_of(row),
        row["event_seq"],
        row["repeats"],
        row["last_repeat_at"],
    )


async def read_delivery(conn: Connection, delivery_id: UUID) -> StoredPayload | None:
    """Return one callback as the gateway told it; None where it has not."""
    row = await conn.fetchrow(SQL["read_delivery"], delivery_id)
    if row is None:
        return None
    return StoredPayload(kept_of(row), row["info"])


async def find_keys(conn: Connection, key: bytes, limit: int) -> list[tuple[UUID, str]]:
    """Return the (job_id, kind) that an id's key belongs to, newest job first."""
    rows = await conn.fetch(SQL["find_keys"], key, limit)
    return [(row["job_id"], row["kind"]) for row in rows]


async def list_jobs(
    conn: Connection, wanted: JobFilter, before: UUID | None, limit: int
) -> list[Projection]:
    """Return matching jobs older than `before`, newest first."""
    name, arguments = _choose_list(wanted)
    rows = await conn.fetch(SQL[name], limit, *_bounds(wanted, before), *arguments)
    return [projection_of(row) for row in rows]


def _choose_list(wanted: JobFilter) -> tuple[str, list[object]]:
    """Choose the statement whose index fits best, so that the planner has nothing to guess."""
    statuses = list(wanted.statuses)
    rest: list[object] = [
        wanted.user_id,
        wanted.tool,
        statuses or None,
        wanted.failed_at_step,
        wanted.error_class,
    ]
    if wanted.user_id is not None:
        return "list_jobs_of_user", rest
    if wanted.error_class is not None:
        return "list_jobs_of_class", rest
    if wanted.failed_at_step is not None:
        return "list_jobs_failed_at", rest
    if statuses:
        phases = sorted({PHASES[status] for status in wanted.statuses})
        return "list_jobs_in_phases", [statuses, phases, wanted.tool]
    if wanted.tool is not None:
        return "list_jobs_of_tool", rest
    return "list_jobs", rest


def _bounds(wanted: JobFilter, before: UUID | None) -> tuple[UUID, UUID, datetime, datetime]:
    created_from = max(wanted.created_from or _ALWAYS, _ALWAYS)
    created_to = min(wanted.created_to or _NEVER, _NEVER)
    low = UUID(int=0)
    if created_from - _ALWAYS > _CLOCK_SLACK:
        low = lowest_id(created_from - _CLOCK_SLACK)
    high = UUID(int=2**128 - 1)
    if created_to < _NEVER:
        high = lowest_id(max(created_to, _ALWAYS) + _CLOCK_SLACK)
    return low, min(high, before) if before else high, created_from, created_to


def lowest_id(at: datetime) -> UUID:
    """Return a UUID below every UUIDv7 made at or after a time, and above those made before."""
    return UUID(int=int((at - _ALWAYS) / timedelta(milliseconds=1)) << 80)
