"""The queue's queries on jobs that come in: what decides on them, and what they meet.

The caller owns the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.queue.admission import QueueView
from services.queue.domain import MAX_EXACT_POSITION, JobStatus, Submission, TimeLimits
from services.queue.rows import submission_from_json
from services.queue.store import OpenSlot
from services.runtime.db import Connection
from services.runtime.sql import load_statements

_SQL = load_statements(__file__)


@dataclass(frozen=True, slots=True)
class DeskFacts:
    """What decides on new jobs.

    `prices`: credits and time limits by (tool, variant). `known`: id and params_sha256 of earlier
    jobs by (caller, user, request id).
    """

    prices: Mapping[tuple[str, str], tuple[int, TimeLimits]]
    known: dict[tuple[str, str, str], tuple[UUID, bytes]]


@dataclass(frozen=True, slots=True)
class EntranceFacts:
    """What jobs that join the queue meet: the queue, balances by user and bucket, open slots."""

    queue: QueueView
    balances: dict[str, dict[str, int]]
    slots: Sequence[OpenSlot]


@dataclass(frozen=True, slots=True)
class Template:
    """What a new job takes over from an old one. Without a submission nothing can be run again."""

    status: JobStatus
    user_id: str
    tool: str
    variant: str
    input_json: str
    submission: Submission | None


async def read_desk(
    conn: Connection,
    variants: Iterable[tuple[str, str]],
    requests: Sequence[tuple[str, str, str]],
) -> DeskFacts:
    """Return what decides on new jobs, asked for by (tool, variant) and (caller, user, request)."""
    wanted = sorted(set(variants))
    columns = [
        *([each[i] for each in wanted] for i in range(2)),
        *([each[i] for each in requests] for i in range(3)),
    ]
    row = await conn.fetchrow(_SQL["read_desk"], *columns)
    prices, known = row["prices"] if row else (), row["known"] if row else ()
    return DeskFacts(
        prices={tuple(r[:2]): (r[2], TimeLimits(*r[3:])) for r in prices},
        known={tuple(r[:3]): (r[3], r[4]) for r in known},
    )


async def read_entrance(
    conn: Connection,
    user_ids: Iterable[str],
    now: datetime,
    *,
    global_limit: int,
    slots: int,
) -> EntranceFacts:
    """Return what jobs that join the queue meet, with up to `slots` slots that they may take.

    The gate must be held and the users locked.
    """
    users = sorted(set(user_ids))
    row = await conn.fetchrow(
        _SQL["read_entrance"], now, global_limit, MAX_EXACT_POSITION + 1, slots, users
    )
    facts = dict(row or {})
    balances: dict[str, dict[str, int]] = {}
    for user_id, bucket, available in facts.pop("balances"):
        balances.setdefault(user_id, {})[bucket] = available
    open_slots = [OpenSlot(*each) for each in facts.pop("slots")]
    return EntranceFacts(QueueView(**facts), balances, open_slots)


async def read_active_jobs(
    conn: Connection, user_ids: Iterable[str], limit: int
) -> dict[str, list[UUID]]:
    """Return the active jobs of users, oldest first."""
    rows = await conn.fetch(_SQL["read_active_jobs"], sorted(set(user_ids)), limit)
    return {row["user_id"]: row["job_ids"] for row in rows}


async def read_inputs(conn: Connection, job_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return the inputs of jobs, each one JSON object."""
    rows = await conn.fetch(_SQL["read_inputs"], sorted(set(job_ids)))
    return {row["job_id"]: row["input_json"] for row in rows}


async def read_template(conn: Connection, job_id: UUID) -> Template | None:
    """Return what a new job made from this one needs; None where there is no such job."""
    row = await conn.fetchrow(_SQL["read_template"], job_id)
    if row is None:
        return None
    submission = row["submission"]
    return Template(
        status=JobStatus(row["status"]),
        user_id=row["user_id"],
        tool=row["tool"],
        variant=row["variant"],
        input_json=row["input_json"],
        submission=submission_from_json(submission) if submission else None,
    )
