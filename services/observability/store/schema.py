"""Queries that shape the schema: partitions by time, the catalogue, and the tools' views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.observability.store import SQL
from services.runtime.db import Connection

PARTITIONED = ("jobs", "chapters", "payloads", "keys", "deliveries")


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A range of ids that has partitions: [low, high)."""

    low: UUID
    high: UUID
    label: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as announced; `announcement` is packed."""

    name: str
    view: str
    label_pt: str
    label_en: str
    announcement: bytes


async def read_ranges(conn: Connection) -> list[TimeRange]:
    """Return the ranges made so far, oldest first."""
    return [
        TimeRange(row["low"], row["high"], row["label"])
        for row in await conn.fetch(SQL["read_ranges"])
    ]


async def add_range(conn: Connection, time_range: TimeRange) -> None:
    """Add a range. Idempotent."""
    await conn.execute(SQL["add_range"], time_range.low, time_range.high, time_range.label)


async def ensure_partition(conn: Connection, table: str, label: str) -> bool:
    """Make a table's partition of a range; return whether it was missing."""
    return bool(await conn.fetchval(SQL["ensure_partition"], table, label))


async def upsert_tools(conn: Connection, tools: Sequence[Tool]) -> None:
    """Store announced tools. Idempotent."""
    await conn.execute(
        SQL["upsert_tools"],
        [each.name for each in tools],
        [each.view for each in tools],
        [each.label_pt for each in tools],
        [each.label_en for each in tools],
        [each.announcement for each in tools],
    )


async def make_tool_views(conn: Connection, tools: Sequence[Tool]) -> None:
    """Make the tools' views. Raises `DuplicateTableError` where a name is somebody else's."""
    await conn.execute(
        SQL["make_tool_views"], [each.name for each in tools], [each.view for each in tools]
    )


async def read_tool_views(conn: Connection) -> dict[str, str]:
    """Return the view of each tool by the tool's name."""
    return {row["name"]: row["view"] for row in await conn.fetch(SQL["read_tool_views"])}
