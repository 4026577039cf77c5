"""Takes events in: a batch is one statement that writes and one that reads before it.

Idempotent by (job_id, seq).

Events are stored whatever their order; a job's projection moves only over the part without gaps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias
from uuid import UUID

import asyncpg

from services.observability.body import Kept, keep, move_if_large
from services.observability.chapter import StoredEvent, chapters_of
from services.observability.domain import Event, PayloadChange
from services.observability.fold import Folded, Projection, fold
from services.observability.frame import Dictionary
from services.observability.history import read_events
from services.observability.store import schema, write
from services.observability.store.dictionary import Dictionaries
from services.observability.store.row import NewPayload
from services.observability.wire import change_of
from services.observability.wire_intake import stand_in
from services.runtime.batch import Batcher
from services.runtime.blobs import BlobStore
from services.runtime.db import Connection, Pool
from services.runtime.log import get_log

# How many requests share a transaction; each has at most 1,000 events.
BATCH_REQUESTS = 8
CATCH_UP_EVENTS = 2000

_log = get_log(__name__)
Committed = Callable[[Folded], None]
# Events by job and number: each once, whatever came twice.
_ByJob: TypeAlias = Mapping[UUID, Mapping[int, Event]]


class Intake:
    """Stores events. `committed` is told, after each commit, what became part of the histories."""

    def __init__(self, pool: Pool, blobs: BlobStore, committed: Committed) -> None:
        self._pool = pool
        self._blobs = blobs
        self._committed = committed
        self._batcher = Batcher[Sequence[Event], None](
            self._store, name="record_events", max_size=BATCH_REQUESTS
        )
        self._dictionaries = Dictionaries()
        self._views: dict[str, str] = {}

    async def record(self, events: Sequence[Event]) -> list[tuple[Event, str]]:
        """Store events durably; return those that the database refused, with the reason.

        Raises `UnavailableError` while the database or the blob store is away.
        """
        if not events:
            return []
        for event in events:
            if isinstance(event.change, PayloadChange) and event.change.is_large:
                await self._move_body(event, event.change)
        try:
            await self._batcher.submit(events)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            if len(events) > 1:
                return await self._record_one_by_one(events)
            event, why = events[0], str(error)
            note = stand_in(event.job_id, event.seq, event.occurred_at, event.packed, why)
            await self._batcher.submit([note])
            return [(event, why)]
        return []

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        await self._batcher.drain()

    async def _record_one_by_one(self, events: Sequence[Event]) -> list[tuple[Event, str]]:
        refused: list[tuple[Event, str]] = []
        for event in sorted(events, key=attrgetter("job_id", "seq")):
            refused += await self.record([event])
        return refused

    async def _move_body(self, event: Event, change: PayloadChange) -> None:
        assert change.body is not None  # noqa: S101 - it is large
        event.change = change._replace(body=await move_if_large(change.body, self._blobs))

    async def _store(self, requests: Sequence[Sequence[Event]]) -> list[None]:
        by_job: dict[UUID, dict[int, Event]] = defaultdict(dict)
        for events in reversed(requests):
            for event in events:
                by_job[event.job_id][event.seq] = event
        async with self._pool.acquire() as conn:
            folded = await self._store_events(conn, by_job)
        try:
            self._committed(folded)
        except Exception as error:
            # It is committed: an error from here on must not make the batch run again.
            _log.error("commit_not_told", exc_info=error)
        return [None] * len(requests)

    async def _store_events(self, conn: Connection, by_job: _ByJob) -> Folded:
        folded = Folded()
        known = await write.read_progress(conn, by_job)
        fresh = folded.fresh
        for job_id in sorted(by_job):
            job = known.get(job_id) or Projection(job_id, is_whole=True)
            events = await _fresh(conn, job, by_job[job_id])
            if events:
                folded.jobs.append(job)
                fresh += events
        if not fresh:
            return folded
        await _fold_jobs(conn, fresh, folded)
        await self._name_views(conn, folded.jobs)
        payloads = await self._payloads_of(conn, fresh)
        # What was read is still so when it is written: each write moves its job's revision on. All
        # in order of (job_id, seq), so that concurrent writers wait for one another instead of for
        # ever.
        batch = chapters_of(fresh), payloads, folded.keys, folded.jobs
        if not folded.repeats:
            await write.write_batch(conn, *batch)
            return folded
        async with conn.transaction():
            await write.write_batch(conn, *batch)
            await write.add_repeats(conn, folded.repeats)
        return folded

    async def _payloads_of(self, conn: Connection, fresh: Sequence[Event]) -> list[NewPayload]:
        dictionary = await self._dictionaries.newest(conn)
        return [
            _new_payload(event, event.change, dictionary)
            for event in fresh
            if isinstance(event.change, PayloadChange)
        ]

    async def _name_views(self, conn: Connection, jobs: Sequence[Projection]) -> None:
        """Give new jobs the name of their tool's view, which their log lines carry."""
        nameless = [job for job in jobs if job.tool and not job.view]
        if any(job.tool not in self._views for job in nameless):
            self._views = await schema.read_tool_views(conn)
        for job in nameless:
            job.view = self._views.get(job.tool, f"{job.tool}_jobs")


async def _fresh(conn: Connection, job: Projection, events: Mapping[int, Event]) -> list[Event]:
    """Return in order those of a job's events that are not stored yet."""
    seqs = sorted(seq for seq in events if seq > job.through_seq)
    if job.has_gap and seqs:
        stored = await write.read_stored_seqs(conn, job.job_id, seqs)
        seqs = [seq for seq in seqs if seq not in stored]
    return [events[seq] for seq in seqs]


async def _fold_jobs(conn: Connection, fresh: Iterable[Event], folded: Folded) -> None:
    """Move the projections of `folded` forward over events in order of (job_id, seq)."""
    jobs = {job.job_id: job for job in folded.jobs}
    for job_id, events in groupby(fresh, key=attrgetter("job_id")):
        job = jobs[job_id]
        if job.has_gap:
            await _catch_up(conn, job, list(events), folded)
        else:
            fold(job, events, folded)


async def _catch_up(
    conn: Connection, job: Projection, fresh: Sequence[Event], folded: Folded
) -> None:
    """Fold new events together with those that were stored behind the gap that they may fill."""
    fold(job, fresh, folded)
    while job.has_gap:
        before = job.through_seq
        page = await read_events(conn, job.job_id, before, job.max_seq, CATCH_UP_EVENTS)
        events = [_event_of(each) for each in page]
        events += [event for event in fresh if event.seq > before]
        fold(job, sorted(events, key=attrgetter("seq")), folded)
        if job.through_seq == before:
            return


def _event_of(stored: StoredEvent) -> Event:
    """Return a stored event as one to be folded."""
    kind, change = change_of(stored.message)
    return Event(
        stored.job_id,
        stored.seq,
        stored.occurred_at,
        stored.message.attempt,
        bytes.fromhex(stored.trace_id) or None,
        kind,
        change,
        b"",
    )


def _new_payload(event: Event, change: PayloadChange, dictionary: Dictionary) -> NewPayload:
    shown_as = None
    if change.is_callback:
        shown_as = "callback"
    elif change.is_deciding:
        shown_as = "reply"
    kept = Kept() if change.body is None else keep(change.body, dictionary)
    return NewPayload(event.job_id, change.payload_id, event.seq, None, None, shown_as, *kept)
