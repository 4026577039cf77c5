"""Writes of the intake: whole batches as rows of arrays or copies, never a query a row.

The caller commits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from uuid import UUID

import asyncpg

from services.observability.domain import Event
from services.observability.fold import Projection
from services.observability.store import SQL
from services.observability.store.row import (
    Delivery,
    NewPayload,
    job_row,
    progress_row,
    projection_of,
)
from services.runtime.db import Connection


async def insert_events(conn: Connection, events: Iterable[Event]) -> None:
    """Store events that are not there yet.

    Raises `SerializationError` where another writer was faster: look again at what is there.
    """
    try:
        await conn.copy_records_to_table(
            "events",
            schema_name="observability",
            columns=_EVENT_COLUMNS,
            records=map(_event_row, events),
        )
    except asyncpg.UniqueViolationError as error:
        raise asyncpg.SerializationError("an event was stored by another writer") from error


_EVENT_COLUMNS = (
    *("job_id", "seq", "attempt", "occurred_at", "kind", "step", "details", "trace_id", "body"),
)
_event_row = attrgetter(*_EVENT_COLUMNS)


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
    return {row["job_id"]: projection_of(row) for row in rows}


async def write_projections(conn: Connection, jobs: Sequence[Projection]) -> None:
    """Write projections one revision further, given in order of job_id.

    Raises `SerializationError` where another writer was faster: fold again from what it wrote.
    """
    for job in jobs:
        job.revision += 1
    whole = [job_row(job) for job in jobs if job.is_whole]
    moved = [progress_row(job) for job in jobs if not job.is_whole]
    written = await conn.fetchval(SQL["write_jobs"], whole) if whole else 0
    if moved:
        first, last = moved[0][0], moved[-1][0]
        written += await conn.fetchval(SQL["write_progress"], moved, first, last)
    if written < len(jobs):
        raise asyncpg.SerializationError("a projection was changed by another writer")


async def note_changes(conn: Connection, jobs: Sequence[Projection]) -> None:
    """Note for the feeds which jobs the transaction changes."""
    await conn.execute(SQL["note_changes"], [job.job_id for job in jobs])


async def insert_payloads(conn: Connection, payloads: Sequence[NewPayload]) -> None:
    """Store payloads of events that have just been stored."""
    await conn.copy_records_to_table(
        "payloads",
        schema_name="observability",
        columns=NewPayload._fields,
        records=payloads,
    )


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


async def insert_keys(conn: Connection, keys: Collection[tuple[bytes, UUID, str]]) -> None:
    """Make jobs findable by (key, job_id, kind). Idempotent."""
    await conn.execute(SQL["insert_keys"], sorted(keys))


async def insert_deliveries(conn: Connection, deliveries: Collection[Delivery]) -> None:
    """Store callbacks. Idempotent by delivery id."""
    await conn.execute(SQL["insert_deliveries"], sorted(deliveries))


async def forget_unmatched(conn: Connection, below: UUID, most: int) -> tuple[int, int]:
    """Forget callbacks that no job claims; return how many were looked at and how many went."""
    row = await conn.fetchrow(SQL["forget_unmatched"], below, most)
    if row is None:
        raise RuntimeError("observability.delivery_floor has lost its row")
    return row["looked_at"], row["forgotten"]
