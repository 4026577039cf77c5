"""The queue's queries on the outbox, and on what may be forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.queue.pack import RejectedEvent
from services.runtime.db import Connection
from services.runtime.sql import load_statements
from services.runtime.text import without_nul

_SQL = load_statements(__file__)


@dataclass(frozen=True, slots=True)
class TakenPack:
    """A pack as the outbox holds it, with its place there."""

    id: int
    job_id: UUID
    first_seq: int
    events: int
    body: bytes


async def take_packs(conn: Connection, events: int, max_bytes: int) -> list[TakenPack]:
    """Return the oldest packs that nobody else has in hand; locked until the transaction ends."""
    rows = await conn.fetch(_SQL["take_packs"], events, max_bytes)
    return [TakenPack(*row) for row in rows]


async def delete_packs(conn: Connection, ids: Sequence[int]) -> None:
    """Delete packs that are told."""
    await conn.execute(_SQL["delete_packs"], ids)


async def keep_rejected_events(
    conn: Connection, rejected: Sequence[RejectedEvent], now: datetime
) -> None:
    """Keep aside events that could not be told as they are."""
    rows = [(r.job_id, r.seq, r.kind, without_nul(r.body), without_nul(r.why)) for r in rejected]
    columns = [list(column) for column in zip(*rows, strict=True)]
    await conn.execute(_SQL["keep_rejected_events"], *columns, now)


async def prune_jobs(conn: Connection, before: datetime, limit: int) -> int:
    """Delete jobs that finished before a time and whose story is told; return how many."""
    return int(await conn.fetchval(_SQL["prune_jobs"], before, limit))


async def prune_callbacks(conn: Connection, before: datetime, limit: int) -> int:
    """Delete callbacks received before a time that never found a job; return how many."""
    return _count(await conn.execute(_SQL["prune_callbacks"], before, limit))


async def prune_uploads(conn: Connection, now: datetime, limit: int) -> int:
    """Delete uploads that the accounts no longer have; return how many."""
    return _count(await conn.execute(_SQL["prune_uploads"], now, limit))


async def prune_rejected_events(conn: Connection, before: datetime, limit: int) -> int:
    """Delete events kept aside before a time; return how many."""
    return _count(await conn.execute(_SQL["prune_rejected_events"], before, limit))


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
