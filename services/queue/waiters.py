"""Wakes who waits for the end of a job: at once after our own commits, by a poll for others'."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from services.queue import store_reads
from services.queue.domain import Change
from services.queue.reader import Reader
from services.queue.store_reads import JobView
from services.queue.transitions import Transitions
from services.runtime.db import AWAY_ERRORS
from services.runtime.errors import UnavailableError
from services.runtime.log import get_log

_log = get_log(__name__)
_POLL_S = 0.5


class Waiters:
    """All calls of one process that wait for jobs; one query a poll serves them all."""

    def __init__(
        self, transitions: Transitions, reader: Reader, *, poll_s: float = _POLL_S
    ) -> None:
        self._pool = transitions.pool
        self._reader = reader
        self._poll_s = poll_s
        self._waiting: dict[UUID, set[asyncio.Event]] = {}
        self._somebody = asyncio.Event()
        self._is_closed = False
        transitions.listen(self._on_changes)

    async def wait(self, job_id: UUID, max_wait_s: float) -> JobView:
        """Return the job when it is final or the time has passed, as it is then.

        Raises `JobNotFoundError`, and `UnavailableError` once this process is stopping.
        """
        ended = asyncio.Event()
        # Before the first look, so that an end between the two is not missed.
        self._waiting.setdefault(job_id, set()).add(ended)
        self._somebody.set()
        try:
            view = await self._reader.get(job_id)
            if view.status.is_final or max_wait_s <= 0:
                return view
            await self._wait_for(ended, max_wait_s)
        finally:
            self._forget(job_id, ended)
        return await self._reader.get(job_id)

    async def run(self) -> None:
        """Poll for ends that other processes committed, until cancelled."""
        while True:
            await self._somebody.wait()
            await asyncio.sleep(self._poll_s)
            try:
                await self._poll()
            except AWAY_ERRORS as error:
                _log.warning("wait_poll_failed", error=type(error).__name__)
            except Exception:
                _log.exception("wait_poll_broke")

    def close(self) -> None:
        """End all waits, now and later: the process is stopping."""
        self._is_closed = True
        self._wake(list(self._waiting))

    async def _wait_for(self, ended: asyncio.Event, max_wait_s: float) -> None:
        try:
            async with asyncio.timeout(max_wait_s):
                if not self._is_closed:
                    await ended.wait()
        except TimeoutError:
            return
        if self._is_closed:
            raise UnavailableError("this queue process is stopping; ask again")

    async def _poll(self) -> None:
        if not self._waiting:
            self._somebody.clear()
            return
        async with self._pool.acquire() as conn:
            self._wake(await store_reads.find_final(conn, list(self._waiting)))

    def _on_changes(self, changes: Sequence[Change]) -> None:
        if self._waiting:
            self._wake([change.after.id for change in changes if change.after.status.is_final])

    def _wake(self, job_ids: Sequence[UUID]) -> None:
        for job_id in job_ids:
            for ended in self._waiting.get(job_id, ()):
                ended.set()

    def _forget(self, job_id: UUID, ended: asyncio.Event) -> None:
        left = self._waiting[job_id]
        left.discard(ended)
        if not left:
            del self._waiting[job_id]
