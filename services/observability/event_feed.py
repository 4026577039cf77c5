"""Tells watchers of jobs what is new, once for all of them together, however many they are.

What this process commits is handed to them as it is. Commits of other replicas are found by a hint,
or by the poll, which always runs while anybody watches, and read by one query.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from services.observability.chapter import StoredEvent, stored
from services.observability.domain import Event
from services.observability.feed_loop import FeedLoop
from services.observability.fold import Folded
from services.observability.history import read_new_events
from services.observability.store import feed
from services.runtime.db import Connection, Pool
from services.runtime.errors import QuotaError

# What waits for one slow watcher; beyond it, the watcher reads the store by itself.
BUFFER_EVENTS = 256
EVENTS_A_TURN = 200
CHANGES_A_TURN = 5000


class TooManyWatchersError(QuotaError):
    """This replica holds as many streams as it may."""

    reason = "TOO_MANY_WATCHERS"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} streams are open on this server: close some, or add a replica",
            {"limit": str(limit)},
        )


class Subscription:
    """What the feed has for one watcher. Bounded: what does not fit is left to the store."""

    def __init__(self) -> None:
        self._events: deque[StoredEvent] = deque()
        self._overflowed = False
        self._ready = asyncio.Event()

    def offer(self, events: list[StoredEvent]) -> None:
        """Add events, or note that there are too many."""
        if len(self._events) + len(events) > BUFFER_EVENTS:
            self._events.clear()
            self._overflowed = True
        elif not self._overflowed:
            self._events.extend(events)
        self._ready.set()

    async def next(self, timeout_s: float) -> list[StoredEvent] | None:
        """Return what came, an empty list after a silence, None where the store must be read."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            return []
        self._ready.clear()
        if self._overflowed:
            self._overflowed = False
            return None
        events = list(self._events)
        self._events.clear()
        return events


@dataclass(slots=True)
class _Watched:
    """A job with watchers; `seq` is the last number that was offered to them."""

    seq: int
    subscriptions: set[Subscription] = field(default_factory=set)

    def offer(self, events: list[StoredEvent]) -> None:
        """Offer events to all; what was offered meanwhile is left out."""
        new = [event for event in events if event.seq > self.seq]
        if not new:
            return
        self.seq = new[-1].seq
        for subscription in self.subscriptions:
            subscription.offer(new)


class EventFeed(FeedLoop):
    """The feed of single jobs' events. `run()` is its loop."""

    def __init__(self, pool: Pool, *, poll_s: float, max_watchers: int) -> None:
        super().__init__("event_feed", poll_s)
        self._pool = pool
        self._max_watchers = max_watchers
        self._watched: dict[UUID, _Watched] = {}
        self._count = 0
        self._touched: set[UUID] = set()
        self._cursor: int | None = None

    @contextmanager
    def subscribe(self, job_id: UUID, seq: int) -> Iterator[Subscription]:
        """Offer a job's events after `seq` while the context lasts; some may come again."""
        if self._count >= self._max_watchers:
            raise TooManyWatchersError(self._max_watchers)
        subscription = Subscription()
        watched = self._watched.setdefault(job_id, _Watched(seq))
        watched.subscriptions.add(subscription)
        self._count += 1
        self.first_watcher.set()
        self.touch([job_id])
        try:
            yield subscription
        finally:
            self._count -= 1
            watched.subscriptions.discard(subscription)
            if not watched.subscriptions:
                self._watched.pop(job_id, None)

    def offer(self, folded: Folded) -> None:
        """Offer what this process has just committed. Costs next to nothing without watchers."""
        if not self._watched:
            return
        ends = {job.job_id: job.through_seq for job in folded.jobs if job.job_id in self._watched}
        if not ends:
            return
        batches: dict[UUID, list[Event]] = {job_id: [] for job_id in ends}
        for event in folded.fresh:
            # Beyond a gap nothing is told.
            if event.seq <= ends.get(event.job_id, 0):
                batches[event.job_id].append(event)
        for job_id, batch in batches.items():
            watched = self._watched[job_id]
            if _follows(watched.seq, batch):
                watched.offer([stored(event) for event in batch])
            # What filled a gap, or came while others wrote as well, is read.
            if watched.seq < ends[job_id]:
                self.touch([job_id])

    def touch(self, job_ids: Iterable[UUID]) -> None:
        """Have what is new of jobs read and offered."""
        touched = self._watched.keys() & set(job_ids)
        if touched:
            self._touched |= touched
            self.wake()

    @property
    def is_watched(self) -> bool:
        """Whether anybody watches."""
        return bool(self._watched)

    async def turn(self, *, is_poll: bool) -> None:
        """Offer what is new of the jobs that changed."""
        if not self._watched:
            self._touched.clear()
            self._cursor = None
            return
        async with self._pool.acquire() as conn:
            if is_poll:
                self._touched |= await self._read_changed(conn)
            touched, self._touched = self._touched, set()
            after = {each: self._watched[each].seq for each in touched if each in self._watched}
            try:
                events = await read_new_events(conn, after, EVENTS_A_TURN) if after else []
            except BaseException:
                self._touched |= touched
                raise
        self._distribute(events)

    async def _read_changed(self, conn: Connection) -> set[UUID]:
        position = await feed.read_feed_position(conn)
        if self._cursor is None:
            changed = set(self._watched)
        else:
            changes = await feed.read_changes(conn, self._cursor, CHANGES_A_TURN)
            is_all = len(changes) < CHANGES_A_TURN and position.floor <= self._cursor
            changed = {job_id for _, job_id in changes} if is_all else set(self._watched)
        self._cursor = position.cursor
        return changed & self._watched.keys()

    def _distribute(self, events: list[StoredEvent]) -> None:
        by_job: dict[UUID, list[StoredEvent]] = {}
        for event in events:
            by_job.setdefault(event.job_id, []).append(event)
        for job_id, batch in by_job.items():
            watched = self._watched.get(job_id)
            if watched is None:
                continue
            watched.offer(batch)
            if len(batch) == EVENTS_A_TURN:
                self.touch([job_id])


def _follows(seq: int, events: Sequence[Event]) -> bool:
    """Tell whether events go on from a number, without a gap."""
    return bool(events) and [event.seq for event in events] == list(
        range(seq + 1, seq + 1 + len(events))
    )
