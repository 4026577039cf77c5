"""Queries of the live feeds: one for all watchers together, never one a watcher."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from services.observability.store import SQL
from services.observability.store.row import Chapter, FeedPosition
from services.runtime.db import Connection


async def read_new_chapters(
    conn: Connection, after: Mapping[UUID, int], limit: int
) -> list[Chapter]:
    """Return the chapters with what is new of each job after its number, in order.

    They hold the next `limit` events of each job, if it has so many, and may hold more.
    """
    rows = await conn.fetch(SQL["read_new_chapters"], list(after), list(after.values()), limit)
    return [Chapter(*row.values()) for row in rows]


async def read_feed_position(conn: Connection) -> FeedPosition:
    """Return where a feed stands that has read everything visible now."""
    row = await conn.fetchrow(SQL["read_feed_position"])
    if row is None:
        raise RuntimeError("observability.feed_floor has lost its row")
    return FeedPosition(row["cursor"], row["next"], row["floor"])


async def read_changes(conn: Connection, cursor: int, limit: int) -> list[tuple[int, UUID]]:
    """Return (transaction id, job_id) of changes from a cursor on."""
    rows = await conn.fetch(SQL["read_changes"], cursor, limit)
    return [(row["xid"], row["job_id"]) for row in rows]


async def prune_changes(conn: Connection, below: int) -> None:
    """Forget changes of transactions below a cursor."""
    await conn.execute(SQL["prune_changes"], below)


async def notify_feeds(conn: Connection, sender: str) -> None:
    """Hint to other replicas that something is new."""
    await conn.execute(SQL["notify_feeds"], sender)
