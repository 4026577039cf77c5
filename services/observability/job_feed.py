"""Tells watchers of job lists which jobs changed: one query a turn for all of them together."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from services.observability.event_feed import TooManyWatchersError
from services.observability.feed_loop import FeedLoop
from services.observability.fold import Projection
from services.observability.store import feed, write
from services.observability.store.row import FeedPosition, JobFilter
from services.runtime.db import Connection, Pool

# Changed jobs that wait for one slow watcher; beyond it, the watcher reads the store by itself.
BUFFER_JOBS = 1000
# More than one transaction can change (intake.BATCH_REQUESTS of 1,000 events), or a turn could read
# the same part of one for ever.
CHANGES_A_TURN = 10_000
# Many commits a second become this many turns a second at the most.
PAUSE_S = 0.02


class JobSubscription:
    """Changed jobs for one watcher; of a job that changes again only the latest state is kept."""

    def __init__(self, wanted: JobFilter) -> None:
        self.wanted = wanted
        self._jobs: dict[UUID, Projection] = {}
        self._cursor = 0
        self._overflowed = False
        self._ready = asyncio.Event()

    def offer(self, jobs: Sequence[Projection], cursor: int) -> None:
        """Add changed jobs that this watcher wants; `cursor` is where to resume after them."""
        admitted = [job for job in jobs if self.wanted.admits(job)]
        self._cursor = cursor
        if not admitted:
            return
        for job in admitted:
            self._jobs.pop(job.job_id, None)
            self._jobs[job.job_id] = job
        if len(self._jobs) > BUFFER_JOBS:
            self._jobs.clear()
            self._overflowed = True
        self._ready.set()

    async def next(self, timeout_s: float) -> tuple[list[Projection], int] | None:
        """Return (jobs, cursor), no jobs after a silence, None where the store must be read."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            return [], self._cursor
        self._ready.clear()
        if self._overflowed:
            self._overflowed = False
            return None
        jobs = list(self._jobs.values())
        self._jobs.clear()
        return jobs, self._cursor


class JobFeed(FeedLoop):
    """The feed of changed jobs. `run()` is its loop.

    A change is known by its transaction's id. Turns read from the lowest id that may still be
    under way, so a transaction that commits late is never passed over; what was told already is
    remembered until the cursor is beyond it.
    """

    def __init__(self, pool: Pool, *, poll_s: float, max_watchers: int) -> None:
        super().__init__("job_feed", poll_s, PAUSE_S)
        self._pool = pool
        self._max_watchers = max_watchers
        self._subscriptions: set[JobSubscription] = set()
        self._cursor: int | None = None
        self._told: set[tuple[int, UUID]] = set()

    @contextmanager
    def subscribe(self, wanted: JobFilter, position: FeedPosition) -> Iterator[JobSubscription]:
        """Offer changes after `position` while the context lasts; some may come again."""
        if len(self._subscriptions) >= self._max_watchers:
            raise TooManyWatchersError(self._max_watchers)
        subscription = JobSubscription(wanted)
        self._subscriptions.add(subscription)
        self.first_watcher.set()
        if self._cursor is None:
            self._cursor = position.cursor
        self.hint()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            if not self._subscriptions:
                self._cursor, self._told = None, set()

    @property
    def is_watched(self) -> bool:
        """Whether anybody watches."""
        return bool(self._subscriptions)

    def touch(self) -> None:
        """Say that jobs have changed. Costs next to nothing while nobody watches."""
        if self._subscriptions:
            self.wake()

    async def turn(self, *, is_poll: bool) -> None:
        """Offer the jobs that changed."""
        cursor = self._cursor
        if cursor is None:
            return
        async with self._pool.acquire() as conn:
            # The position is taken first: what commits after it is read again in the next turn.
            position = await feed.read_feed_position(conn)
            changes = await feed.read_changes(conn, cursor, CHANGES_A_TURN)
            new = [change for change in changes if change not in self._told]
            jobs = await read_changed(conn, {job_id for _, job_id in new})
        if self._cursor is None:
            return
        upto = position.cursor
        if len(changes) == CHANGES_A_TURN:
            upto = min(upto, changes[-1][0])
            self.hint()
        self._cursor = upto
        self._told = {change for change in self._told.union(changes) if change[0] >= upto}
        for subscription in tuple(self._subscriptions):
            subscription.offer(jobs, upto)


async def read_changed(conn: Connection, job_ids: Collection[UUID]) -> list[Projection]:
    """Return the jobs as they are now, oldest first; those without a first event are left out."""
    jobs = await write.read_projections(conn, job_ids) if job_ids else []
    return sorted((job for job in jobs if job.status is not None), key=lambda job: job.job_id)
