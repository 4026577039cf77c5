"""Every statement fits the migrated schema, has one function, and reads a full one by index."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

import services.observability.store
from services.observability.store import SQL
from services.observability.store.read import list_jobs, lowest_id
from services.observability.store.row import JobFilter
from services.runtime.db import Pool, open_pool
from services.runtime.ids import new_id
from tests.support.filled_history import FIRST, fill, some_job
from tests.support.postgres import MakeDatabase

SOURCES = [path.read_text() for path in Path(services.observability.store.__path__[0]).glob("*.py")]
EVERYTHING = (
    "'00000000-0000-0000-0000-000000000000','ffffffff-ffff-ffff-ffff-ffffffffffff',"
    "'1970-01-01','9999-01-01'"
)
PROGRESS = (
    "ARRAY[ROW('{job}',2,1,1,NULL,'queued','waiting','queued',NULL,NULL,NULL,NULL,NULL,now(),NULL,"
    "NULL,0,'','',NULL,NULL,1,0,0)::observability.job_progress]"
)
READS = {
    "read_job": "'{job}'",
    "read_chapters": "'{job}',0,100,100",
    "read_first_chapters": "'{job}','s',100,100",
    "read_last_chapters": "'{job}','s',100,100",
    "read_new_chapters": "ARRAY['{job}']::uuid[],'{{0}}',100",
    "read_projections": "ARRAY['{job}']::uuid[]",
    "read_progress": "ARRAY['{job}']::uuid[]",
    "read_stored_seqs": "'{job}','{{{{1,2}}}}'",
    "write_batch": "'{{}}','{{}}','{{}}','{{}}',"
    + PROGRESS
    + ",'{job}','{job}',ARRAY['{job}'::uuid]",
    "read_payload": "'{job}','{job}'",
    "read_payload_extras": "'{job}',100,100",
    "read_delivery": "'{job}'",
    "find_keys": "'\\x00112233445566778899aabbccddeeff',50",
    "list_jobs": f"51,{EVERYTHING},NULL,NULL,NULL,NULL,NULL",
    "list_jobs_of_user": f"51,{EVERYTHING},'user-7',NULL,NULL,NULL,NULL",
    "list_jobs_of_tool": f"51,{EVERYTHING},NULL,'upscaler',NULL,NULL,NULL",
    "list_jobs_failed_at": f"51,{EVERYTHING},NULL,NULL,NULL,'running',NULL",
    "list_jobs_of_class": f"51,{EVERYTHING},NULL,NULL,NULL,NULL,'infra'",
    "list_jobs_in_phases": f"51,{EVERYTHING},'{{{{running,failed}}}}','{{{{busy,failed}}}}',NULL",
    "read_changes": "1,1000",
    "forget_unmatched": "'{job}',200",
}
LED_BY = {
    "list_jobs_of_user": "user_id_job_id",
    "list_jobs_of_tool": "tool_job_id",
    "list_jobs_failed_at": "failed_at_step_job_id",
    "list_jobs_of_class": "error_class_job_id",
    "list_jobs_in_phases": "phase_job_id",
}


@pytest.mark.parametrize("name", sorted(SQL))
async def test_a_statement_fits_the_schema_and_has_one_function(pool: Pool, name: str) -> None:
    async with pool.acquire() as conn:
        await conn.prepare(SQL[name])
    uses = sum(len(re.findall(rf'"{name}"', source)) for source in SOURCES)
    assert uses == 1
    assert SQL[name].startswith("-- ")


@pytest.fixture
async def filled(make_database: MakeDatabase) -> str:
    dsn = await make_database(["observability"])
    await fill(dsn, jobs=12_000, weeks=12)
    return dsn


async def sequential_scans(conn: asyncpg.Connection[asyncpg.Record], plan: str) -> list[str]:
    """The partitions worth an index that a plan reads from end to end."""
    rows = await conn.fetch("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > 500")
    filled = {row["relname"] for row in rows}
    return [name for name in re.findall(r"Seq Scan on (\w+)", plan) if name in filled]


async def test_no_read_scans_a_filled_schema_in_sequence(filled: str) -> None:
    conn = await asyncpg.connect(filled)
    job = await some_job(conn, "completed")
    await conn.execute("SET plan_cache_mode = force_generic_plan")
    for name, arguments in READS.items():
        await conn.execute(f"PREPARE wanted AS {SQL[name]}")
        rows = await conn.fetch(f"EXPLAIN EXECUTE wanted({arguments.format(job=job)})")
        await conn.execute("DEALLOCATE wanted")
        plan = "\n".join(row[0] for row in rows)
        assert not await sequential_scans(conn, plan), f"{name}\n{plan}"
        assert LED_BY.get(name, "") in plan, f"{name}\n{plan}"
    await conn.close()


async def test_the_view_reads_one_partition_by_id(filled: str) -> None:
    conn = await asyncpg.connect(filled)
    await conn.execute("SELECT observability.make_tool_view('upscaler', 'upscaler_jobs')")
    job = await conn.fetchval("SELECT id FROM upscaler_jobs LIMIT 1")
    rows = await conn.fetch(
        "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) SELECT * FROM upscaler_jobs "
        f"WHERE id = '{job}' ORDER BY created_at DESC LIMIT 1"
    )
    plan = "\n".join(row[0] for row in rows)
    assert not await sequential_scans(conn, plan), plan
    await conn.close()
    scans = [
        line
        for line in plan.splitlines()
        if re.search(r"Scan.* on \w+_p\d", line) and "never executed" not in line
    ]
    # One of jobs, two of its steps and what completes them, and one for each raw column.
    assert len(scans) == 5, plan


async def test_a_list_bounded_in_time_holds_the_jobs_of_that_time_only(filled: str) -> None:
    pool = await open_pool(filled, "test")
    wanted = JobFilter(created_from=FIRST + timedelta(days=8), created_to=FIRST + timedelta(days=9))
    async with pool.acquire() as conn:
        jobs = await list_jobs(conn, wanted, None, 10_000)
    await pool.close()
    assert len(jobs) == pytest.approx(12_000 / (12 * 7), abs=2)
    assert all(
        job.created_at and FIRST + timedelta(days=8) <= job.created_at < FIRST + timedelta(days=9)
        for job in jobs
    )


def test_the_lowest_id_of_a_time_is_below_ids_made_then() -> None:

    before = datetime.now(UTC)
    made = new_id()
    assert lowest_id(before - timedelta(milliseconds=1)) < made
    assert made < lowest_id(datetime.now(UTC) + timedelta(milliseconds=1))
