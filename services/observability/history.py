"""Reads of a job's events, in order of their numbers, out of the chapters that hold them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from uuid import UUID

from services.observability.chapter import LETTERS, StoredEvent, events_of
from services.observability.domain import Kind
from services.observability.store import feed, read
from services.runtime.db import Connection


async def read_events(
    conn: Connection, job_id: UUID, after_seq: int, through_seq: int, limit: int
) -> list[StoredEvent]:
    """Return at most `limit` events of one job in order, from the one after `after_seq`."""
    chapters = await read.read_chapters(conn, job_id, after_seq, through_seq, limit)
    events = [each for each in events_of(chapters) if after_seq < each.seq <= through_seq]
    return events[:limit]


async def read_new_events(
    conn: Connection, after: Mapping[UUID, int], limit: int
) -> list[StoredEvent]:
    """Return what is new of each job after its number, in order, at most `limit` a job."""
    chapters = await feed.read_new_chapters(conn, after, limit)
    by_job: dict[UUID, list[StoredEvent]] = defaultdict(list)
    for event in events_of(chapters):
        if event.seq > after[event.job_id]:
            by_job[event.job_id].append(event)
    return [event for events in by_job.values() for event in events[:limit]]


async def read_first_events(
    conn: Connection, job_id: UUID, kind: Kind, through_seq: int, limit: int
) -> list[StoredEvent]:
    """Return a job's first events of one kind, in order."""
    chapters = await read.read_first_chapters(conn, job_id, LETTERS[kind], through_seq, limit)
    return [each for each in events_of(chapters) if each.kind is kind][:limit]


async def read_last_events(
    conn: Connection, job_id: UUID, kind: Kind, through_seq: int, limit: int
) -> list[StoredEvent]:
    """Return a job's last events of one kind, in order."""
    chapters = await read.read_last_chapters(conn, job_id, LETTERS[kind], through_seq, limit)
    return [each for each in events_of(chapters) if each.kind is kind][-limit:]
