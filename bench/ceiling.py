"""The physical ceiling: what one process can make durable when nothing else is in the way.

No RPC, no HTTP, no rules: for each job one job row, 8 step rows and 4 payloads of 2 KB, each
step acknowledged after its commit and before the next one begins. What arrives while a commit is
under way forms the next batch; about 500 jobs are in flight. asyncpg on a held connection, uvloop.
A contestant like the others, except that it calls no provider.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils import uuid7

from bench import bodies
from bench.answering import answer_requests
from bench.statements import SQL

STEPS = 8
IN_FLIGHT = 500
# After which steps a body is stored with them: request, response, callback, query.
_WITH_BODY = {5, 6, 7, 8}


@dataclass(frozen=True, slots=True)
class _Step:
    job_id: UUID
    number: int
    body: bytes | None
    done: asyncio.Future[None]


class GroupCommit:
    """Writes steps in batches on one connection; each waits for its own commit."""

    def __init__(self, conn: asyncpg.Connection[asyncpg.Record]) -> None:
        self._conn = conn
        self._waiting: list[_Step] = []
        self._worker: asyncio.Task[None] | None = None

    async def write(self, job_id: UUID, number: int, body: bytes | None) -> None:
        """Return when the step is durable."""
        step = _Step(job_id, number, body, asyncio.get_running_loop().create_future())
        self._waiting.append(step)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        await step.done

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            async with self._conn.transaction():
                await self._write(batch)
            for step in batch:
                step.done.set_result(None)
        self._worker = None

    async def _write(self, batch: list[_Step]) -> None:
        conn = self._conn
        if new := [step.job_id for step in batch if step.number == 1]:
            await conn.execute(SQL["ceiling_write_jobs"], new)
        await conn.execute(
            SQL["ceiling_write_steps"],
            [step.job_id for step in batch],
            [step.number for step in batch],
            [f"step-{step.number}" for step in batch],
        )
        if bodies_ := [step for step in batch if step.body is not None]:
            await conn.execute(
                SQL["ceiling_write_payloads"],
                [step.job_id for step in bodies_],
                [step.number for step in bodies_],
                [step.body for step in bodies_],
            )
        if done := [step.job_id for step in batch if step.number == STEPS]:
            await conn.execute(SQL["ceiling_finish_jobs"], done)


class Ceiling:
    """Answers the driver's requests."""

    def __init__(self, conn: asyncpg.Connection[asyncpg.Record]) -> None:
        self._conn = conn
        self._commit = GroupCommit(conn)

    async def run(self, jobs: int, in_flight: int = IN_FLIGHT) -> dict[str, Any]:
        """Write `jobs` jobs, 500 in flight where the others have hundreds of submits."""
        numbers = iter(range(jobs))
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT if in_flight > 64 else in_flight):
                group.create_task(self._work(numbers))
        return {"seconds": time.monotonic() - began, "jobs": jobs}

    async def check(self) -> dict[str, Any]:
        """Prove that every job has its steps in order and its bodies."""
        rows = await self._conn.fetch(SQL["ceiling_check"], bodies.BODY_BYTES)
        wanted = list(range(1, STEPS + 1))
        bad = [str(row["id"]) for row in rows if row["steps"] != wanted or row["bodies"] != 4]
        return {"jobs": len(rows), "steps": STEPS, "payloads": 4, "bad": bad[:10]}

    async def _work(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            job_id = UUID(int=uuid7().int)
            stored = _bodies(number)
            for step in range(1, STEPS + 1):
                await self._commit.write(job_id, step, stored.get(step))


def _bodies(number: int) -> dict[int, bytes]:
    task_id = str(1_900_000_000_000_000_000 + number)
    made = (bodies.accepted, bodies.accepted, bodies.callback, bodies.succeeded)
    return {step: make(task_id) for step, make in zip(sorted(_WITH_BODY), made, strict=True)}


async def main(env: Mapping[str, str]) -> None:
    """Make the tables and answer requests until there are no more."""
    conn = await asyncpg.connect(
        env["BENCH_DATABASE_URL"], server_settings={"synchronous_commit": "on"}
    )
    await conn.execute(SQL["ceiling_schema"])
    ceiling = Ceiling(conn)
    ready = {"ready": True, "versions": {"asyncpg": asyncpg.__version__}}
    await answer_requests(ready, {"run": ceiling.run, "check": ceiling.check})
    await conn.close()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(os.environ))
