"""Streams one job's events: in order, none lost, none twice, resumable from any number seen."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from uuid import UUID

from services.observability.chapter import StoredEvent, final_status
from services.observability.domain import JobNotFoundError, SeqExpiredError
from services.observability.event_feed import EventFeed, Subscription
from services.observability.history import read_new_events
from services.observability.store import read
from services.runtime.db import Pool

PAGE_EVENTS = 500
# The end is told when nothing has come for this long: the last events of a job (its capture or
# refund) are committed with its final step but may arrive a batch later.
SETTLE_S = 0.25


class Watch:
    """One watcher of one job. `seq` is the last number that was told."""

    def __init__(
        self,
        pool: Pool,
        events: EventFeed,
        job_id: UUID,
        *,
        after_seq: int,
        follow: bool,
        heartbeat_s: float,
    ) -> None:
        self._pool = pool
        self._feed = events
        self._job_id = job_id
        self._follow = follow
        self._heartbeat_s = heartbeat_s
        self._final = False
        self.seq = after_seq

    async def events(self) -> AsyncGenerator[StoredEvent | None, None]:
        """Yield events, None after a silence, until the job is final, or for ever with `follow`.

        Raises `JobNotFoundError`, or `SeqExpiredError` where wanted events are not kept.
        """
        through_seq = await self._begin()
        # Subscribed before the store is read, so that nothing falls between the two.
        with self._feed.subscribe(self._job_id, self.seq) as live:
            while True:
                async for event in self._catch_up(through_seq):
                    yield event
                async for news in self._follow_live(live):
                    yield news
                if self._is_ending:
                    async for event in self._catch_up(through_seq):
                        yield event
                    return

    async def _follow_live(self, live: Subscription) -> AsyncGenerator[StoredEvent | None, None]:
        """Yield what the feed offers, until the store must be read or the end has settled."""
        while True:
            is_ending = self._is_ending
            batch = await live.next(SETTLE_S if is_ending else self._heartbeat_s)
            if batch is None or (is_ending and not batch):
                return
            if not batch:
                yield None
            for event in batch:
                if event.seq == self.seq + 1:
                    yield self._take(event)
            if batch and batch[-1].seq > self.seq:
                return

    @property
    def _is_ending(self) -> bool:
        return self._final and not self._follow

    async def _begin(self) -> int:
        async with self._pool.acquire() as conn:
            job = await read.read_job(conn, self._job_id)
        if job is None:
            raise JobNotFoundError(str(self._job_id))
        if self.seq > job.through_seq:
            # Numbers that were seen are never taken back, so this one is of another history.
            raise SeqExpiredError(str(self._job_id), self.seq)
        self._final = job.status is not None and job.status.is_final
        return job.through_seq

    async def _catch_up(self, through_seq: int) -> AsyncIterator[StoredEvent]:
        """Yield what the store has beyond what was told."""
        while True:
            async with self._pool.acquire() as conn:
                page = await read_new_events(conn, {self._job_id: self.seq}, PAGE_EVENTS)
            for event in page:
                if event.seq != self.seq + 1:
                    raise SeqExpiredError(str(self._job_id), self.seq)
                yield self._take(event)
            if len(page) < PAGE_EVENTS:
                break
        if self.seq < through_seq:
            raise SeqExpiredError(str(self._job_id), self.seq)

    def _take(self, event: StoredEvent) -> StoredEvent:
        self.seq = event.seq
        self._final = self._final or final_status(event) is not None
        return event
