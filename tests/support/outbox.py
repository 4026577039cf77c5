"""What waits in the outbox, read as the events that it will become."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from etapa.observability.v1 import event_pb2
from services.queue.pack import read_pack, write_pack
from services.runtime.db import Pool

_INSERT = "INSERT INTO queue.outbox (job_id, first_seq, events, body) VALUES ($1, $2, $3, $4)"


async def waiting_events(pool: Pool, job_id: UUID | None = None) -> list[event_pb2.Event]:
    """Return the events in the outbox in the order of their numbers; of one job or of all."""
    async with pool.acquire() as conn:
        rows = await conn.fetch(
            "SELECT body FROM queue.outbox WHERE $1::uuid IS NULL OR job_id = $1 "
            "ORDER BY job_id, first_seq",
            job_id,
        )
    return [event for row in rows for event in read_pack(row["body"])]


async def put_events(pool: Pool, job_id: UUID, events: Sequence[event_pb2.Event]) -> None:
    """Put events into the outbox as one pack, behind the queue's back."""
    async with pool.acquire() as conn:
        await conn.execute(_INSERT, job_id, events[0].seq, len(events), write_pack(events))
