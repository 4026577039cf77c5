"""Keeps partitions ahead of time, so that no row ever waits for one, and forgets old changes."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from services.observability.store import feed, schema
from services.observability.store.read import lowest_id
from services.observability.store.schema import PARTITIONED, TimeRange
from services.observability.wire import EPOCH
from services.runtime.db import Pool, transaction

# How many ranges beyond the present one exist at any time.
RANGES_AHEAD = 2


async def ensure_partitions(pool: Pool, now: datetime, days: int) -> int:
    """Make the missing partitions for now and the ranges ahead; return how many were made.

    Idempotent, and safe on any number of replicas. Ranges made with another `days` stay.
    """
    async with transaction(pool) as conn:
        for time_range in missing_ranges(await schema.read_ranges(conn), now, days):
            await schema.add_range(conn, time_range)
    made = 0
    async with pool.acquire() as conn:
        ranges = await schema.read_ranges(conn)
        for time_range in ranges:
            for table in PARTITIONED:
                made += await schema.ensure_partition(conn, table, time_range.label)
    return made


def missing_ranges(known: list[TimeRange], now: datetime, days: int) -> list[TimeRange]:
    """Return the ranges of `days` to be added to those known, oldest first."""
    start = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if known:
        start = max(start, _time_of(known[-1].high))
    until = now + timedelta(days=days * RANGES_AHEAD)
    missing = []
    while start <= until:
        end = start + timedelta(days=days)
        missing.append(TimeRange(lowest_id(start), lowest_id(end), f"{start:%Y%m%d}"))
        start = end
    return missing


def _time_of(low: UUID) -> datetime:
    return EPOCH + timedelta(milliseconds=low.int >> 80)


class ChangePruner:
    """Forgets changes older than `keep_s`, by transaction id: no row needs a time of its own."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._marks: list[tuple[float, int]] = []

    async def prune(self, pool: Pool, clock_s: float) -> None:
        """Note where the feed stands now and forget what was below an old enough note."""
        async with pool.acquire() as conn:
            position = await feed.read_feed_position(conn)
            self._marks.append((clock_s, position.cursor))
            old = [cursor for at, cursor in self._marks if at <= clock_s - self._keep_s]
            if old and old[-1] > position.floor:
                await feed.prune_changes(conn, old[-1])
            self._marks = [mark for mark in self._marks if mark[0] > clock_s - self._keep_s]
