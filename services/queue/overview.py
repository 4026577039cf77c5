"""Looks at the queue as a whole: what runs, what waits, and why one job does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.queue import store_operations, store_reads
from services.queue.account import AccountView
from services.queue.domain import JobNotFoundError, JobNotQueuedError, JobStatus
from services.queue.store_reads import QueueTotals, ToolLoad
from services.queue.waiting import WaitFacts, Why, explain
from services.runtime.batch import Batcher
from services.runtime.db import Connection, Pool

_SHOWN_HOLDERS = 20


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """What runs and waits, in total and by account and tool, as of one moment."""

    totals: QueueTotals
    accounts: Sequence[AccountView]
    tools: Sequence[ToolLoad]


@dataclass(frozen=True, slots=True)
class WaitAnswer:
    """Why a job waits. `slot_holders` are at most 20, those longest at it first."""

    why: Why
    position: int
    slot_holders: Sequence[UUID]


class Overview:
    """Answers GetQueue and WhyWaiting, each from one snapshot."""

    def __init__(self, pool: Pool, clock: Callable[[], datetime], global_limit: int) -> None:
        self.global_limit = global_limit
        self._pool = pool
        self._clock = clock
        # All who ask at the same time get the same answer.
        self._loads: Batcher[None, QueueLoad] = Batcher(self._read_loads, name="loads")

    async def get_queue(self) -> QueueLoad:
        """Return what runs and what waits."""
        return await self._loads.submit(None)

    async def why_waiting(self, job_id: UUID) -> WaitAnswer:
        """Return why a queued job waits. Raises `JobNotFoundError`, `JobNotQueuedError`."""
        now = self._clock()
        async with self._snapshot() as conn:
            wait = await store_reads.read_wait(conn, job_id, now, self.global_limit)
            if wait is None:
                raise JobNotFoundError(str(job_id))
            if wait.status is not JobStatus.QUEUED:
                raise JobNotQueuedError(job_id, wait.status)
            holders = await store_reads.read_holders(conn, _SHOWN_HOLDERS)
            accounts = await store_operations.read_accounts(conn)
        why = explain(WaitFacts(wait, accounts, holders, self.global_limit, now))
        return WaitAnswer(why, wait.position, [holder for holder, _ in holders])

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        await self._loads.drain()

    async def _read_loads(self, asked: Sequence[None]) -> list[QueueLoad]:
        async with self._snapshot() as conn:
            load = QueueLoad(
                totals=await store_reads.read_queue(conn, self._clock(), self.global_limit),
                accounts=await store_operations.read_accounts(conn),
                tools=await store_reads.read_tool_loads(conn),
            )
        return [load] * len(asked)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Connection]:
        async with (
            self._pool.acquire() as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield conn
