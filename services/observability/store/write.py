"""Writes of the intake: whole batches as arrays of rows, never a query a row.

The caller commits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from services.observability.fold import Projection
from services.observability.store import SQL
from services.observability.store.row import (
    Delivery,
    NewChapter,
    NewPayload,
    job_row,
    progress_of,
    progress_row,
    projection_of,
)
from services.runtime.db import Connection


async def read_stored_seqs(conn: Connection, job_id: UUID, seqs: Sequence[int]) -> set[int]:
    """Return which of these numbers of a job are stored."""
    return {row["seq"] for row in await conn.fetch(SQL["read_stored_seqs"], job_id, seqs)}


async def read_projections(conn: Connection, job_ids: Collection[UUID]) -> list[Projection]:
    """Return the projections of those jobs that have any, rows without a first event included."""
    rows = await conn.fetch(SQL["read_projections"], list(job_ids))
    return [projection_of(row) for row in rows]


async def read_progress(conn: Connection, job_ids: Collection[UUID]) -> dict[UUID, Projection]:
    """Return of those jobs that are there what folding needs: of their facts only the tool."""
    rows = await conn.fetch(SQL["read_progress"], list(job_ids))
    return {row["job_id"]: progress_of(row) for row in rows}


async def write_batch(
    conn: Connection,
    chapters: Iterable[NewChapter],
    payloads: Sequence[NewPayload],
    keys: Collection[tuple[bytes, UUID, str]],
    jobs: Sequence[Projection],
) -> None:
    """Store events with all that follows from them, and the projections one revision further.

    All or nothing, in one statement. Chapters, payloads and projections are in order of job_id.
    Raises `SerializationError` where another writer was faster: read again what is there.
    """
    for job in jobs:
        job.revision += 1
    moved = [progress_row(job) for job in jobs if not job.is_whole]
    try:
        await conn.execute(
            SQL["write_batch"],
            list(chapters),
            payloads,
            sorted(keys),
            [job_row(job) for job in jobs if job.is_whole],
            moved,
            moved[0][0] if moved else None,
            moved[-1][0] if moved else None,
            [job.job_id for job in jobs],
        )
    except asyncpg.UniqueViolationError as error:
        raise asyncpg.SerializationError("events were stored by another writer") from error


async def add_repeats(
    conn: Connection, repeats: Mapping[tuple[UUID, UUID], tuple[int, datetime]]
) -> None:
    """Count equal answers, by (job_id, payload_id). Not idempotent: the fold calls it once."""
    rows = sorted(repeats.items())
    job_ids = [job_id for (job_id, _), _ in rows]
    await conn.execute(
        SQL["add_repeats"],
        job_ids,
        [payload_id for (_, payload_id), _ in rows],
        [count for _, (count, _) in rows],
        [last_at for _, (_, last_at) in rows],
        job_ids[0],
        job_ids[-1],
    )


async def insert_deliveries(conn: Connection, deliveries: Collection[Delivery]) -> None:
    """Store callbacks. Idempotent by delivery id."""
    await conn.execute(SQL["insert_deliveries"], sorted(deliveries))


async def forget_unmatched(conn: Connection, below: UUID, most: int) -> tuple[int, int]:
    """Forget callbacks that no job claims; return how many were looked at and how many went."""
    row = await conn.fetchrow(SQL["forget_unmatched"], below, most)
    if row is None:
        raise RuntimeError("observability.delivery_floor has lost its row")
    return row["looked_at"], row["forgotten"]
