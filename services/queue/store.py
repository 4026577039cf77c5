"""The queue's queries on jobs: locked reads, the one write, claims, polls and leases.

The caller owns the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from asyncpg import Record

from services.queue import store_outbox
from services.queue.admission import NewJob
from services.queue.domain import (
    Change,
    JobState,
    Submission,
)
from services.queue.pack import pack_changes
from services.queue.rows import (
    change_rows,
    job_from_row,
    new_job_row,
    submission_from_json,
)
from services.runtime.db import Connection
from services.runtime.sql import load_statements

_SQL = load_statements(__file__)
# One plan for each statement, whatever its values: planning anew costs more than most of them. A
# plan made while a table was small must not read it whole once it has grown.
SESSION: Final = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}


class WriteConflictError(RuntimeError):
    """A locked job was not as read: a bug, never a race. The transaction must be undone."""


@dataclass(frozen=True, slots=True)
class OpenSlot:
    """A slot that may be taken, and how to reach its account."""

    account: str
    slot: int
    base_url: str
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FoundClaim:
    """A job that waits longest, the slot that it gets, and what its start needs.

    `previous_traceparent` is that of the attempt before the one to come.
    """

    job_id: UUID
    slot: OpenSlot
    submission: Submission
    previous_traceparent: str


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a write: the jobs whose poll it took, and whether a job waits for what it freed.

    Another process may be at a poll already: then it was not taken.
    """

    polls: set[UUID]
    is_awaited: bool


@dataclass(frozen=True, slots=True)
class Work:
    """What a call to the provider needs of an attempt."""

    job_id: UUID
    attempt: int
    tool: str
    user_id: str
    submission: Submission
    instance_type: str
    traceparent: str
    start_traceparent: str
    previous_traceparent: str
    callback_traceparent: str
    deadline_at: datetime | None
    account: str
    base_url: str
    api_key: str
    token_sha256: bytes
    task_id: str
    results: str | None
    stop_for: str
    stop_asked_at: datetime | None
    callbacks: int
    accepted_at: datetime | None


async def lock_gate(conn: Connection) -> int:
    """Hold the gate until the transaction ends; return the last place given out."""
    return int(await conn.fetchval(_SQL["lock_gate"]))


async def lock_jobs(conn: Connection, job_ids: Iterable[UUID]) -> dict[UUID, JobState]:
    """Lock jobs and read them as they are; unknown ids are left out."""
    ids = sorted(set(job_ids))
    await conn.execute(_SQL["lock_jobs"], ids)
    # A second statement: its snapshot is younger than the wait for the locks.
    rows = await conn.fetch(_SQL["read_jobs"], ids)
    return {row["id"]: job_from_row(row) for row in rows}


async def ensure_users(conn: Connection, user_ids: Iterable[str]) -> None:
    """Make the rows of users not seen before."""
    await conn.execute(_SQL["ensure_users"], sorted(set(user_ids)))


async def lock_users(conn: Connection, user_ids: Iterable[str]) -> dict[str, int]:
    """Lock users; return how many active jobs each has."""
    rows = await conn.fetch(_SQL["lock_users"], sorted(set(user_ids)))
    return {row["user_id"]: row["active"] for row in rows}


async def read_balances(conn: Connection, user_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return the available credits of locked users, by user and bucket."""
    balances: dict[str, dict[str, int]] = {}
    for row in await conn.fetch(_SQL["read_balances"], sorted(set(user_ids))):
        balances.setdefault(row["user_id"], {})[row["bucket"]] = row["available"]
    return balances


async def insert_jobs(
    conn: Connection,
    jobs: Sequence[NewJob],
    changes: Sequence[Change],
    now: datetime,
    last_place: int | None,
) -> None:
    """Insert admitted jobs as far as they got, each with all that its change writes.

    `changes` are from nothing, one a job, in the same order. The users must be locked. With
    `last_place`, the last place in the queue that is given out by now, the gate must be held.
    """
    rows = [new_job_row(new, change.after) for new, change in zip(jobs, changes, strict=True)]
    await conn.execute(_SQL["insert_jobs"], rows)
    await _write(conn, (), changes, now, last_place=last_place)


async def write_changes(
    conn: Connection,
    changes: Sequence[Change],
    now: datetime,
    *,
    polling_until: datetime | None = None,
    last_place: int | None = None,
) -> Written:
    """Write transitions of locked jobs in one statement, at most one a job.

    The users whose money or count moves must be locked. Where a change takes a poll, nobody else
    asks before `polling_until`. With `last_place` the gate must be held. Raises
    `WriteConflictError` if a job was not as it was read, and the database's own error where a
    constraint refuses.
    """
    return await _write(conn, changes, (), now, polling_until=polling_until, last_place=last_place)


async def _write(
    conn: Connection,
    changes: Sequence[Change],
    created: Sequence[Change],
    now: datetime,
    *,
    polling_until: datetime | None = None,
    last_place: int | None = None,
) -> Written:
    packs, rejected = pack_changes([*changes, *created])
    rows = change_rows(changes, created)
    row = await conn.fetchrow(_SQL["write_changes"], *rows, packs, now, polling_until, last_place)
    taken = sum(change.takes_slot for change in [*changes, *created])
    if row is None or row["jobs"] != len(changes) or row["slots"] != taken:
        raise WriteConflictError(
            f"{len(changes)} jobs and {taken} slots were to be written, got {row}"
        )
    if rejected:
        await store_outbox.keep_rejected_events(conn, rejected, now)
    return Written(set(row["polls"]), row["is_awaited"])


async def find_claims(
    conn: Connection, now: datetime, limit: int, global_limit: int
) -> list[FoundClaim]:
    """Pair waiting jobs with open slots, in queue order, under the gate."""
    rows = await conn.fetch(_SQL["find_claims"], now, limit, global_limit)
    return [
        FoundClaim(
            row["id"],
            _open_slot(row),
            submission_from_json(row["submission"]),
            row["previous_traceparent"],
        )
        for row in rows
    ]


async def read_work(conn: Connection, attempts: Sequence[tuple[UUID, int]]) -> list[Work]:
    """Return what calls to the provider need, for attempts that exist."""
    ids, numbers = _columns(attempts)
    return [_work(row) for row in await conn.fetch(_SQL["read_work"], ids, numbers)]


async def renew_leases(
    conn: Connection, attempts: Sequence[tuple[UUID, int]], until: datetime
) -> None:
    """Keep attempts that this process works on from being taken over."""
    ids, numbers = _columns(attempts)
    await conn.execute(_SQL["renew_leases"], ids, numbers, until)


async def find_expired_leases(
    conn: Connection, now: datetime, limit: int
) -> list[tuple[UUID, int]]:
    """Return starts whose worker fell silent."""
    rows = await conn.fetch(_SQL["find_expired_leases"], now, limit)
    return [(row["job_id"], row["number"]) for row in rows]


async def take_finalising(
    conn: Connection, now: datetime, until: datetime, limit: int
) -> list[tuple[UUID, int]]:
    """Take over outputs that nobody is saving."""
    rows = await conn.fetch(_SQL["take_finalising"], now, until, limit)
    return [(row["job_id"], row["number"]) for row in rows]


async def take_due_polls(
    conn: Connection, now: datetime, until: datetime, limit: int
) -> list[tuple[UUID, int]]:
    """Take attempts to ask the provider about; nobody else asks before `until`."""
    rows = await conn.fetch(_SQL["take_due_polls"], now, until, limit)
    return [(row["job_id"], row["number"]) for row in rows]


async def find_deadlines(conn: Connection, now: datetime, limit: int) -> list[UUID]:
    """Return jobs whose phase has run out of time."""
    return [row["id"] for row in await conn.fetch(_SQL["find_deadlines"], now, limit)]


async def insert_callbacks(
    conn: Connection, columns: Sequence[Sequence[Any]]
) -> list[Mapping[str, Any]]:
    """Keep callbacks once each; return delivery_id, job_id, number, is_repeat and is_new."""
    return [dict(row) for row in await conn.fetch(_SQL["insert_callbacks"], *columns)]


async def match_callbacks(conn: Connection, limit: int) -> list[Mapping[str, Any]]:
    """Match kept callbacks to attempts by task id; return those that found theirs."""
    return [dict(row) for row in await conn.fetch(_SQL["match_callbacks"], limit)]


def _columns(attempts: Sequence[tuple[UUID, int]]) -> tuple[list[UUID], list[int]]:
    return [job_id for job_id, _ in attempts], [number for _, number in attempts]


def _open_slot(row: Record) -> OpenSlot:
    return OpenSlot(row["account"], row["slot"], row["base_url"], row["api_key"])


def _work(row: Record) -> Work:
    submission = submission_from_json(row["submission"])
    return Work(
        job_id=row["id"],
        attempt=row["number"],
        tool=row["tool"],
        user_id=row["user_id"],
        submission=submission,
        instance_type=row["instance_type"] or submission.instance_type,
        traceparent=row["traceparent"],
        start_traceparent=row["start_traceparent"],
        previous_traceparent=row["previous_traceparent"],
        callback_traceparent=row["callback_traceparent"],
        deadline_at=row["deadline_at"],
        account=row["account"],
        base_url=row["base_url"],
        api_key=row["api_key"],
        token_sha256=row["token_sha256"],
        task_id=row["task_id"],
        results=row["results"],
        stop_for=row["stop_for"],
        stop_asked_at=row["stop_asked_at"],
        callbacks=row["callbacks"],
        accepted_at=row["accepted_at"],
    )
