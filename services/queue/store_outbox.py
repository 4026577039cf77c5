"""The queue's queries on the outbox, and on what may be forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.runtime.db import Connection
from services.runtime.sql import load_statements

_SQL = load_statements(__file__)


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An event as the outbox holds it: `body` is JSON, `content` a payload's masked bytes."""

    id: int
    job_id: UUID
    seq: int
    kind: str
    attempt: int
    occurred_at: datetime
    body: str
    content: bytes | None
    traceparent: str


async def take_events(conn: Connection, limit: int, max_bytes: int) -> list[OutboxEvent]:
    """Return the oldest events that nobody else has in hand; locked until the transaction ends."""
    rows = await conn.fetch(_SQL["take_events"], limit, max_bytes)
    return [OutboxEvent(*row) for row in rows]


async def delete_events(
    conn: Connection, ids: Sequence[int], rejected: Sequence[tuple[int, str]], now: datetime
) -> None:
    """Delete told events; keep aside those (id, why) that could not be told as they are."""
    rejected_ids, why = [each for each, _ in rejected], [text for _, text in rejected]
    await conn.execute(_SQL["delete_events"], ids, rejected_ids, why, now)


async def prune_jobs(conn: Connection, before: datetime, limit: int) -> int:
    """Delete jobs that finished before a time and whose story is told; return how many."""
    return _count(await conn.execute(_SQL["prune_jobs"], before, limit))


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
