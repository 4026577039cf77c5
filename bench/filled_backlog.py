"""Makes, once for each size, a queue in which very many jobs wait.

One real job that waits is copied by SQL, at the queue with its reserve, and at observability as
far as the jobs are going to be started. The databases are kept as templates.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg

from bench.arena import Arena
from bench.etapa_stack import TOOL, grant_credits
from bench.load import Loader
from bench.statements import SQL
from bench.templates import find_template

# More than a measurement can start.
_STARTED = 60_000
_SPAN = timedelta(minutes=30)


async def ensure_backlog(arena: Arena, jobs: int) -> str:
    """Return the name of a database in which so many jobs wait; make it where it is not there."""
    name, is_there = await find_template(arena.server, f"filled_backlog_{jobs}")
    if is_there:
        return name
    partial = "partial_backlog"
    await arena.server.create(partial)
    async with arena.etapa(database=partial) as (_, client, _dsn):
        await grant_credits(client)
        await client.operations.set_tool(TOOL, paused=True)
        conn = await asyncpg.connect(arena.server.dsn(partial))
        loader = Loader(client, conn)
        await loader.submit_all(1, 1)
        await loader.wait_told()
        await conn.close()
    await _fill(arena.server.dsn(partial), jobs)
    await arena.server.rename(partial, name)
    return name


async def _fill(dsn: str, jobs: int) -> None:
    conn = await asyncpg.connect(
        dsn, server_settings={"synchronous_commit": "off"}, command_timeout=900
    )
    first = datetime.now(UTC) - _SPAN
    values = (jobs, int(_SPAN / timedelta(milliseconds=1)), int(first.timestamp() * 1000))
    real = await conn.fetchval(SQL["read_waiting_job"])
    await conn.execute(SQL["fill_history_functions"])
    await conn.execute(SQL["fill_backlog_jobs"], *values)
    await conn.execute(SQL["fill_backlog_ledger"], *values)
    await conn.execute(SQL["fill_backlog_counts"])
    told = min(jobs, _STARTED)
    await conn.execute(SQL["fill_backlog_history_jobs"], *values, told, real)
    await conn.execute(SQL["fill_backlog_history_chapters"], *values, told, real)
    await conn.execute("VACUUM (ANALYZE)")
    await conn.close()
