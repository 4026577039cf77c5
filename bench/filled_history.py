"""Makes, once, a history of a million jobs: real jobs' rows, copied by SQL under new ids.

The database is kept as a template and used again by later runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg

from bench.arena import Arena
from bench.etapa_stack import grant_credits
from bench.load import Loader
from bench.statements import SQL
from bench.templates import find_template
from services.observability.partition import ensure_partitions
from services.runtime.db import open_pool

KIND = "filled_history"
JOBS = 1_000_000
_WEEKS = 4
_SLICE = 50_000
_TABLES = ("jobs", "chapters", "payloads", "keys")


async def ensure_filled_history(arena: Arena) -> str:
    """Return the name of the filled database; make it where it is not there."""
    name, is_there = await find_template(arena.server, KIND)
    if is_there:
        return name
    partial = "partial_history"
    await arena.server.create(partial)
    async with _emptied(arena, partial):
        pass
    dsn = arena.server.dsn(partial)
    span, first = timedelta(weeks=_WEEKS), datetime.now(UTC) - timedelta(weeks=_WEEKS)
    await _make_partitions(dsn, first)
    await _fill(dsn, span, first)
    await arena.server.rename(partial, name)
    return name


@asynccontextmanager
async def _emptied(arena: Arena, database: str) -> AsyncIterator[None]:
    """Let real services make the schemas and one real job, which becomes the template."""
    async with arena.etapa(database=database) as (_, client, dsn):
        await grant_credits(client)
        conn = await asyncpg.connect(dsn)
        await Loader(client, conn).run(1, 1)
        await conn.close()
        yield


async def _make_partitions(dsn: str, first: datetime) -> None:
    """Make partitions for the past: those that the service made begin today."""
    pool = await open_pool(dsn, "fill", command_timeout_s=900)
    async with pool.acquire() as conn:
        today = await conn.fetchval(SQL["read_first_range"])
    high = first
    async with pool.acquire() as conn, conn.transaction():
        for week in range(_WEEKS + 1):
            low_at, high = first + timedelta(weeks=week), first + timedelta(weeks=week + 1)
            low, top = _lowest(low_at), min(_lowest(high), str(today))
            if low < top:
                await conn.execute(SQL["add_range"], low, top, f"b{week}")
    await ensure_partitions(pool, datetime.now(UTC), 7)
    await pool.close()


async def _fill(dsn: str, span: timedelta, first: datetime) -> None:
    conn = await asyncpg.connect(dsn, server_settings={"synchronous_commit": "off"})
    values = (JOBS, int(span / timedelta(milliseconds=1)), int(first.timestamp() * 1000))
    await conn.execute(SQL["fill_history_functions"])
    await conn.execute(SQL["fill_history_template"])
    for table in _TABLES:
        for start in range(1, JOBS + 1, _SLICE):
            end = min(start + _SLICE - 1, JOBS)
            await conn.execute(SQL[f"fill_history_{table}"], *values, start, end, timeout=900)
    for table in _TABLES:
        await conn.execute(f"VACUUM (ANALYZE) observability.{table}", timeout=900)
    await conn.close()


def _lowest(at: datetime) -> str:
    from services.observability.store.read import lowest_id

    return str(lowest_id(at))
