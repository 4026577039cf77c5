"""Writes of the intake: whole batches as arrays, never a query a row. The caller commits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from services.observability.domain import Event
from services.observability.fold import Projection
from services.observability.store import SQL
from services.observability.store.row import Delivery, NewPayload, kept_of, projection_of
from services.runtime.db import Connection


async def insert_events(conn: Connection, events: Sequence[Event]) -> set[tuple[UUID, int]]:
    """Store events given in order of (job_id, seq); return the identities that are new."""
    rows = await conn.fetch(
        SQL["insert_events"],
        [each.job_id for each in events],
        [each.seq for each in events],
        [each.attempt for each in events],
        [each.occurred_at for each in events],
        [each.kind for each in events],
        [each.step for each in events],
        [each.details for each in events],
        [each.trace_id or None for each in events],
        [each.body for each in events],
    )
    return {(row["job_id"], row["seq"]) for row in rows}


async def read_projections(conn: Connection, job_ids: Collection[UUID]) -> list[Projection]:
    """Return the projections of those jobs that have any, rows without a first event included."""
    rows = await conn.fetch(SQL["read_projections"], list(job_ids))
    return [projection_of(row) for row in rows]


async def write_projections(conn: Connection, jobs: Sequence[Projection]) -> None:
    """Write projections one revision further, given in order of job_id.

    Raises `SerializationError` where another writer was faster: fold again from what it wrote.
    """
    written = await conn.fetchval(
        SQL["write_projections"],
        [each.job_id for each in jobs],
        [each.revision + 1 for each in jobs],
        *([getattr(each, name) for each in jobs] for name in _WRITTEN),
    )
    if written < len(jobs):
        raise asyncpg.SerializationError("a projection was changed by another writer")


_WRITTEN = (
    "through_seq",
    "max_seq",
    "tool",
    "variant",
    "user_id",
    "caller",
    "request_id",
    "retry_of",
    "cost",
    "input_json",
    "trace_id",
    "status",
    "current_step",
    "failed_at_step",
    "error_class",
    "error_message",
    "evidence_payload_id",
    "evidence_path",
    "created_at",
    "started_at",
    "completed_at",
    "attempt",
    "account",
    "task_id",
    "output_url",
    "outputs",
    "step_count",
    "note_count",
    "payload_count",
    "phase",
)


async def insert_payloads(conn: Connection, payloads: Collection[NewPayload]) -> None:
    """Store payloads. Idempotent."""
    rows = sorted(payloads, key=lambda each: (each.job_id, each.payload_id))
    await conn.execute(
        SQL["insert_payloads"],
        [each.job_id for each in rows],
        [each.payload_id for each in rows],
        [each.seq for each in rows],
        [each.kept.encoding for each in rows],
        [each.kept.body for each in rows],
        [each.kept.blob_sha256 for each in rows],
        [each.info for each in rows],
        [each.raw_api_response for each in rows],
        [each.raw_webhook_payload for each in rows],
    )


async def fill_payloads(conn: Connection, payloads: Collection[NewPayload]) -> None:
    """Give awaited payloads their bytes. Idempotent."""
    rows = list(payloads)
    job_ids = [each.job_id for each in rows]
    await conn.execute(
        SQL["fill_payloads"],
        job_ids,
        [each.payload_id for each in rows],
        [each.kept.encoding for each in rows],
        [each.kept.body for each in rows],
        [each.kept.blob_sha256 for each in rows],
        [each.info for each in rows],
        [each.raw_webhook_payload for each in rows],
        min(job_ids),
        max(job_ids),
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
    rows = sorted(keys)
    await conn.execute(
        SQL["insert_keys"],
        [key for key, _, _ in rows],
        [job_id for _, job_id, _ in rows],
        [kind for _, _, kind in rows],
    )


async def read_deliveries(conn: Connection, delivery_ids: Collection[UUID]) -> list[Delivery]:
    """Read and lock the meeting places of callbacks, in order of id."""
    rows = await conn.fetch(SQL["read_deliveries"], sorted(delivery_ids))
    return [
        Delivery(
            row["delivery_id"],
            row["state"],
            row["job_id"],
            kept_of(row) if row["encoding"] is not None else None,
            row["info"],
            row["raw_webhook_payload"],
        )
        for row in rows
    ]


async def insert_deliveries(
    conn: Connection, deliveries: Collection[Delivery], now: datetime
) -> None:
    """Open meeting places.

    Raises `SerializationError` where the other side was faster: read what it wrote.
    """
    rows = sorted(deliveries, key=lambda each: each.delivery_id)
    made = await conn.fetchval(
        SQL["insert_deliveries"],
        [each.delivery_id for each in rows],
        [each.state for each in rows],
        [now] * len(rows),
        [each.job_id for each in rows],
        [each.kept.encoding if each.kept else None for each in rows],
        [each.kept.body if each.kept else None for each in rows],
        [each.kept.blob_sha256 if each.kept else None for each in rows],
        [each.info for each in rows],
        [each.raw_webhook_payload for each in rows],
    )
    if made < len(rows):
        raise asyncpg.SerializationError("a callback is just being matched by another writer")


async def settle_deliveries(conn: Connection, moved: Collection[tuple[UUID, UUID]]) -> None:
    """Mark callbacks (delivery_id, job_id) as moved to the job's payloads. Idempotent."""
    rows = sorted(moved)
    await conn.execute(
        SQL["settle_deliveries"],
        [delivery_id for delivery_id, _ in rows],
        [job_id for _, job_id in rows],
    )


async def prune_unmatched(conn: Connection, before: datetime, most: int) -> int:
    """Forget callbacks that no job has claimed; return how many."""
    status = await conn.execute(SQL["prune_unmatched"], before, most)
    return int(status.rpartition(" ")[2])
