"""Puts jobs into Etapa through its front door and learns when all of them are done."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from bench.etapa_stack import TOOL, USERS
from bench.statements import SQL
from etapa.queue.v1 import job_pb2
from etapa_client import EtapaClient

# How closely the end is looked for: one count that serves all jobs, the more often the nearer.
_CLOSEST_S, _FARTHEST_S = 0.003, 0.25


class LoadError(RuntimeError):
    """A job did not go the way of all others."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run under load, in seconds from the first submit.

    `submitted_s` to the last answer to a submit, `completed_s` until the last job was completed
    at the queue, `whole_s` until observability had everything of every job.
    """

    jobs: int
    submitted_s: float
    completed_s: float
    whole_s: float


class Loader:
    """Submits and waits. `conn` is the measuring side's own connection."""

    def __init__(self, client: EtapaClient, conn: asyncpg.Connection[asyncpg.Record]) -> None:
        self._client = client
        self._conn = conn

    async def run(self, jobs: int, in_flight: int, *, until_told: bool = True) -> Run:
        """Put `jobs` in, `in_flight` submits at a time, and wait until they are done."""
        started_at, began = datetime.now(UTC), time.monotonic()
        await self.submit_all(jobs, in_flight)
        submitted = time.monotonic()
        completed = await self._wait(jobs, submitted - began, SQL["count_completed"], started_at)
        whole = completed
        if until_told:
            whole = await self.wait_told()
        return Run(jobs, submitted - began, completed - began, whole - began)

    async def submit_all(self, jobs: int, in_flight: int) -> None:
        """Submit, each of `in_flight` submitters one job after the other."""
        numbers = iter(range(jobs))
        async with asyncio.TaskGroup() as submitters:
            for _ in range(min(in_flight, jobs)):
                submitters.create_task(self._submit_from(numbers))

    async def submit(self, number: int, ref: str) -> job_pb2.Job:
        """Submit one job and return it, queued."""
        job = await self._client.tools.run(
            TOOL, {"ref": ref}, {}, USERS[number % len(USERS)], request_id=ref
        )
        if job.status == job_pb2.JOB_STATUS_FAILED:
            raise LoadError(f"job {job.job_id} failed: {job.error_message}")
        return job

    async def _submit_from(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            await self.submit(number, uuid.uuid4().hex)

    async def _wait(self, jobs: int, spent_s: float, query: str, since: datetime) -> float:
        pause_s, before, looked = _CLOSEST_S, 0, time.monotonic() - spent_s
        while True:
            done = int(await self._conn.fetchval(query, since) or 0)
            now = time.monotonic()
            if done >= jobs:
                return now
            rate = max((done - before) / max(now - looked, 1e-6), 1.0)
            pause_s = min(max((jobs - done) / rate / 2, _CLOSEST_S), _FARTHEST_S)
            before, looked = done, now
            await asyncio.sleep(pause_s)

    async def wait_told(self) -> float:
        """Wait until observability has acknowledged everything; return when that was."""
        while int(await self._conn.fetchval(SQL["count_untold"]) or 0):  # noqa: ASYNC110 - it is a database
            await asyncio.sleep(_CLOSEST_S)
        return time.monotonic()
