"""The queue's queries for those who look: jobs as callers see them, the line, and the loads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from asyncpg import Record

from services.queue.domain import (
    MAX_EXACT_POSITION,
    JobStatus,
    Phase,
    SavedOutput,
    Step,
)
from services.queue.waiting import Wait
from services.runtime.db import Connection
from services.runtime.sql import load_statements
from services.runtime.tracing import trace_id_of

_SQL = load_statements(__file__)
_OPEN = frozenset(status.value for status in JobStatus if not status.is_final)
_PLAIN = (
    "id",
    "tool",
    "variant",
    "user_id",
    "error_message",
    "error_class",
    "position",
    "attempt",
    "cost",
    "created_at",
    "started_at",
    "completed_at",
    "retry_of",
    "cancel_requested_at",
    "seq",
    "task_id",
    "input_json",
    "accepted_at",
    "typical_run_s",
)
_OUTPUTS = msgspec.json.Decoder(list[SavedOutput])


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as callers see it. `position` is 0 unless queued; beyond 1,000 it is 1001."""

    id: UUID
    tool: str
    variant: str
    user_id: str
    status: JobStatus
    current_step: Step
    failed_at_step: Step | None
    error_message: str
    error_class: str
    position: int
    attempt: int
    cost: int
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    retry_of: UUID | None
    cancel_requested_at: datetime | None
    outputs: Sequence[SavedOutput]
    trace_id: str
    seq: int
    task_id: str
    input_json: str
    phase: Phase | None
    accepted_at: datetime | None
    typical_run_s: float | None


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list holds; what is empty excludes nothing."""

    user_id: str = ""
    tool: str = ""
    statuses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueTotals:
    """What runs and waits. `claimable` are the accounts that a claim may use now."""

    running: int
    waiting: int
    slots_available: int
    claimable: frozenset[str]
    oldest_queued_at: datetime | None


@dataclass(frozen=True, slots=True)
class ToolLoad:
    """What waits, and what starts or runs, of one tool."""

    tool: str
    waiting: int
    running: int
    paused: bool


@dataclass(frozen=True, slots=True)
class Sight:
    """Whether there is anything at all of each kind of work; somebody may have it in hand."""

    waiting: bool
    due_polls: bool
    ended_leases: bool
    due_checks: bool
    unmatched: bool
    untold: bool


async def look(conn: Connection, now: datetime) -> Sight:
    """Look whether there is work of any kind."""
    row = await conn.fetchrow(_SQL["look"], now)
    return Sight(**dict(row or {}))


async def read_views(conn: Connection, job_ids: Collection[UUID]) -> dict[UUID, JobView]:
    """Return jobs as callers see them; unknown ids are left out."""
    rows = await conn.fetch(_SQL["read_views"], list(job_ids), MAX_EXACT_POSITION)
    return {row["id"]: _view(row) for row in rows}


async def find_final(conn: Connection, job_ids: Collection[UUID]) -> list[UUID]:
    """Return those of the jobs that are final by now."""
    return [row["id"] for row in await conn.fetch(_SQL["find_final"], list(job_ids))]


async def list_jobs(conn: Connection, wanted: JobFilter, below: UUID, limit: int) -> list[UUID]:
    """Return ids of jobs below an id, newest first."""
    if wanted.user_id:
        return await list_jobs_of_user(conn, wanted, below, limit)
    if wanted.statuses and _OPEN.issuperset(wanted.statuses):
        return await list_open_jobs(conn, wanted, below, limit)
    arguments = (below, wanted.tool or None, list(wanted.statuses) or None, limit)
    return [row["id"] for row in await conn.fetch(_SQL["list_jobs"], *arguments)]


async def list_jobs_of_user(
    conn: Connection, wanted: JobFilter, below: UUID, limit: int
) -> list[UUID]:
    """Return ids of one user's jobs below an id, newest first."""
    arguments = (below, wanted.tool or None, list(wanted.statuses) or None, limit, wanted.user_id)
    return [row["id"] for row in await conn.fetch(_SQL["list_jobs_of_user"], *arguments)]


async def list_open_jobs(
    conn: Connection, wanted: JobFilter, below: UUID, limit: int
) -> list[UUID]:
    """Return ids of jobs in statuses that are not final, newest first."""
    arguments = (below, wanted.tool or None, list(wanted.statuses), limit)
    return [row["id"] for row in await conn.fetch(_SQL["list_open_jobs"], *arguments)]


async def read_wait(
    conn: Connection, job_id: UUID, now: datetime, global_limit: int
) -> Wait | None:
    """Return what the claim rule says of a job; None where there is no such job."""
    row = await conn.fetchrow(_SQL["read_wait"], job_id, now, global_limit, MAX_EXACT_POSITION + 1)
    if row is None:
        return None
    return Wait(**{**dict(row), "status": JobStatus(row["status"])})


async def read_holders(conn: Connection, limit: int) -> list[tuple[UUID, str]]:
    """Return (job, account) of held slots, those longest at it first."""
    rows = await conn.fetch(_SQL["read_holders"], limit)
    return [(row["job_id"], row["account"]) for row in rows]


async def read_queue(conn: Connection, now: datetime, global_limit: int) -> QueueTotals:
    """Return what runs and what waits in total."""
    row = await conn.fetchrow(_SQL["read_queue"], now, global_limit)
    fields = dict(row or {})
    return QueueTotals(**{**fields, "claimable": frozenset(fields["claimable"] or ())})


async def read_tool_loads(conn: Connection) -> list[ToolLoad]:
    """Return the load of every announced tool, by name."""
    return [
        ToolLoad(row["name"], row["waiting"], row["running"], row["paused"])
        for row in await conn.fetch(_SQL["read_tool_loads"])
    ]


def _view(row: Record) -> JobView:
    at_step, phase = row["failed_at_step"], row["phase"]
    return JobView(
        **{name: row[name] for name in _PLAIN},
        status=JobStatus(row["status"]),
        current_step=Step(row["current_step"]),
        failed_at_step=Step(at_step) if at_step else None,
        outputs=_OUTPUTS.decode(row["outputs"]) if row["outputs"] != "[]" else (),
        trace_id=trace_id_of(row["traceparent"]),
        phase=Phase(phase) if phase else None,
    )
