"""Reads at a million jobs: one trail, lists, find by any id, and the page of a job.

"In the service" is the service's own function in this process, from the call to the packed
answer; the same over gRPC stands beside it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg

from bench.arena import Arena
from bench.filled_history import JOBS, ensure_filled_history
from bench.result import Row, quantile
from bench.statements import SQL
from etapa.observability.v1 import trail_pb2
from etapa_client import EtapaClient
from services.observability.domain import Status, Step
from services.observability.find import find_jobs
from services.observability.page import list_page
from services.observability.store import SESSION
from services.observability.store import SQL as HISTORY_SQL
from services.observability.store.dictionary import Dictionaries
from services.observability.store.row import JobFilter
from services.observability.trail import WHOLE_EVENTS, get_trail
from services.observability.wire_trail import summary_to_proto, trail_to_proto
from services.runtime.db import Pool, open_pool

_CALLS = 200
Call = Callable[[asyncpg.Record], Awaitable[object]]


async def measure(arena: Arena) -> AsyncIterator[Row]:
    """Yield all; nothing in the quick run."""
    if arena.amount.is_quick:
        return
    name = await ensure_filled_history(arena)
    services = ("observability", "queue", "console")
    async with arena.etapa(database=name, services=services) as (stack, client, dsn):
        pool = await open_pool(dsn, "bench", max_size=8, settings=SESSION)
        jobs = await pool.fetch(SQL["sample_jobs"], _CALLS, JOBS // _CALLS - 1)
        async for row in _trail(pool, client, jobs):
            yield row
        async for row in _lists(pool, client, jobs):
            yield row
        base = f"http://{stack.address('console')}"
        async with aiohttp.ClientSession() as http:
            took = await _times(jobs, lambda job: _first_byte(http, f"{base}/jobs/{job['job_id']}"))
        yield _row("job page at 1 M jobs: first byte", took, "<= 20")
        await pool.close()


async def _trail(
    pool: Pool, client: EtapaClient, jobs: Sequence[asyncpg.Record]
) -> AsyncIterator[Row]:
    bare, inside, dictionaries = [], [], Dictionaries()
    for _ in range(3):  # in turn, so that noise hits both
        bare += await _times(jobs, lambda job: _bare_trail(pool, job["job_id"]))
        inside += await _times(jobs, lambda job: _inner_trail(pool, dictionaries, job["job_id"]))
    yield _row("trail of one job at 1 M jobs: bare SQL", bare)
    yield _row("trail of one job at 1 M jobs: in the service", inside)
    ratio = quantile(inside, 0.5) / quantile(bare, 0.5)
    yield Row(
        "GetTrail in the service against its bare SQL, 1 M jobs", ratio, "x", "<= 2", (ratio,)
    )
    took = await _times(jobs, lambda job: client.trail.get_trail(str(job["job_id"])))
    yield _row("trail of one job at 1 M jobs: over gRPC", took)


async def _lists(
    pool: Pool, client: EtapaClient, jobs: Sequence[asyncpg.Record]
) -> AsyncIterator[Row]:
    filters: dict[str, Callable[[asyncpg.Record], JobFilter]] = {
        "all": lambda _: JobFilter(),
        "of a user": lambda job: JobFilter(user_id=job["user_id"]),
        "of a tool": lambda _: JobFilter(tool="veste_ai"),
        "failed": lambda _: JobFilter(statuses=(Status.FAILED,)),
        "failed at running": lambda _: JobFilter(failed_at_step=Step.RUNNING),
        "of a class": lambda _: JobFilter(error_class="gpu_oom"),
    }
    for name, wanted in filters.items():
        took = await _times(jobs, lambda job, wanted=wanted: _inner_list(pool, wanted(job)))
        yield _row(f"list {name} at 1 M jobs: in the service", took, "<= 20")
    finds: dict[str, Callable[[asyncpg.Record], str]] = {
        "job id": lambda job: str(job["job_id"]),
        "task id": lambda job: str(job["task_id"]),
        "request id": lambda job: str(job["request_id"]),
        "trace id": lambda job: bytes(job["trace_id"]).hex(),
        "user": lambda job: str(job["user_id"]),
    }
    for name, text in finds.items():
        took = await _times(jobs, lambda job, text=text: _inner_find(pool, text(job)))
        yield _row(f"find by {name} at 1 M jobs: in the service", took, "<= 20")
    yield _row(
        "list all at 1 M jobs: over gRPC", await _times(jobs, lambda _: client.trail.list_jobs())
    )


async def _bare_trail(pool: Pool, job_id: UUID) -> None:
    async with pool.acquire() as conn:
        job = await conn.fetchrow(HISTORY_SQL["read_job"], job_id)
        through = job["through_seq"] if job is not None else 0
        await conn.fetch(HISTORY_SQL["read_chapters"], job_id, 0, through, WHOLE_EVENTS)
        await conn.fetch(HISTORY_SQL["read_payload_extras"], job_id, through, 1000)


async def _inner_trail(pool: Pool, dictionaries: Dictionaries, job_id: UUID) -> bytes:
    return trail_to_proto(await get_trail(pool, dictionaries, job_id)).SerializeToString()


async def _inner_list(pool: Pool, wanted: JobFilter) -> bytes:
    page = await list_page(pool, wanted, 50, "")
    if not page.jobs:
        raise RuntimeError(f"a list found nothing: {wanted}")
    return trail_pb2.ListJobsResponse(jobs=map(summary_to_proto, page.jobs)).SerializeToString()


async def _inner_find(pool: Pool, text: str) -> bytes:
    response = trail_pb2.FindResponse()
    for job, matched in await find_jobs(pool, text):
        response.matches.add(job=summary_to_proto(job), matched=matched)
    if not response.matches:
        raise RuntimeError(f"{text} was not found")
    return response.SerializeToString()


async def _first_byte(http: aiohttp.ClientSession, url: str) -> None:
    async with http.get(url) as answer:
        answer.raise_for_status()
        await answer.content.readany()


async def _times(jobs: Sequence[asyncpg.Record], call: Any) -> list[float]:
    """Return how long each call took, in ms; the first few warm up and are not counted."""
    took = []
    for job in [*jobs[:5], *jobs]:
        began = time.monotonic()
        await call(job)
        took.append((time.monotonic() - began) * 1000)
    return took[5:]


def _row(figure: str, took: Sequence[float], goal: str = "") -> Row:
    p50, p99 = quantile(took, 0.5), quantile(took, 0.99)
    return Row(figure, p50, "ms", goal, (p50,), f"p99 {p99:.1f} ms, {len(took)} calls")
