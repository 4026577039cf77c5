"""Takes events in: one transaction a batch, a few statements each, idempotent by (job_id, seq).

Events are stored whatever their order; a job's projection moves only over the part without gaps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import asyncpg

from services.observability.body import keep, move_if_large
from services.observability.delivery import match_callbacks
from services.observability.domain import Event, Kind, PayloadChange
from services.observability.fold import Folded, Projection, fold
from services.observability.json_copy import copy_of
from services.observability.store import read, schema, write
from services.observability.store.row import NewPayload, StoredEvent
from services.observability.wire import change_of
from services.observability.wire_intake import stand_in
from services.runtime.batch import Batcher
from services.runtime.blobs import BlobStore
from services.runtime.db import Connection, Pool, transaction
from services.runtime.log import get_log

# How many requests share a transaction; each has at most 1,000 events.
BATCH_REQUESTS = 8
CATCH_UP_EVENTS = 2000

_log = get_log(__name__)
Committed = Callable[[Folded], None]


class Intake:
    """Stores events. `committed` is told, after each commit, what became part of the histories."""

    def __init__(self, pool: Pool, blobs: BlobStore, committed: Committed) -> None:
        self._pool = pool
        self._blobs = blobs
        self._committed = committed
        self._batcher = Batcher[Sequence[Event], None](
            self._store, name="record_events", max_size=BATCH_REQUESTS
        )
        self._views: dict[str, str] = {}

    async def record(self, events: Sequence[Event]) -> list[tuple[Event, str]]:
        """Store events durably; return those that the database refused, with the reason.

        Raises `UnavailableError` while the database or the blob store is away.
        """
        if not events:
            return []
        for event in events:
            await self._move_large_body(event)
        try:
            await self._batcher.submit(events)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            if len(events) > 1:
                return await self._record_one_by_one(events)
            event, why = events[0], str(error)
            note = stand_in(event.job_id, event.seq, event.occurred_at, event.body, why)
            await self._batcher.submit([note])
            return [(event, why)]
        return []

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        await self._batcher.drain()

    async def _record_one_by_one(self, events: Sequence[Event]) -> list[tuple[Event, str]]:
        refused: list[tuple[Event, str]] = []
        for event in sorted(events, key=_identity):
            refused += await self.record([event])
        return refused

    async def _move_large_body(self, event: Event) -> None:
        change = event.change
        if isinstance(change, PayloadChange) and change.body is not None:
            body = await move_if_large(change.body, self._blobs)
            if body is not change.body:
                event.change = PayloadChange(
                    change.payload_id, change.is_callback, change.is_deciding, body
                )

    async def _store(self, requests: Sequence[Sequence[Event]]) -> list[None]:
        unique = {_identity(event): event for events in reversed(requests) for event in events}
        async with transaction(self._pool) as conn:
            folded = await self._store_events(conn, [unique[key] for key in sorted(unique)])
        try:
            self._committed(folded)
        except Exception as error:
            # It is committed: an error from here on must not make the batch run again.
            _log.error("commit_not_told", exc_info=error)
        return [None] * len(requests)

    async def _store_events(self, conn: Connection, events: Sequence[Event]) -> Folded:
        folded = Folded()
        stored = await write.insert_events(conn, events)
        fresh = [event for event in events if _identity(event) in stored]
        if not fresh:
            return folded
        await _store_payloads(conn, fresh)
        jobs = await _fold_jobs(conn, fresh, folded)
        await write.write_projections(conn, jobs)
        if folded.keys:
            await write.insert_keys(conn, folded.keys)
        if folded.repeats:
            await write.add_repeats(conn, folded.repeats)
        folded.jobs = jobs
        await self._name_views(conn, jobs)
        return folded

    async def _name_views(self, conn: Connection, jobs: Sequence[Projection]) -> None:
        """Give new jobs the name of their tool's view, which their log lines carry."""
        nameless = [job for job in jobs if job.tool and not job.view]
        if any(job.tool not in self._views for job in nameless):
            self._views = await schema.read_tool_views(conn)
        for job in nameless:
            job.view = self._views.get(job.tool, f"{job.tool}_jobs")


def _identity(event: Event) -> tuple[UUID, int]:
    return event.job_id, event.seq


async def _fold_jobs(conn: Connection, fresh: Sequence[Event], folded: Folded) -> list[Projection]:
    """Return the projections of the batch's jobs, moved forward, in order of job_id."""
    by_job: dict[UUID, list[Event]] = defaultdict(list)
    for event in fresh:
        by_job[event.job_id].append(event)
    known = {job.job_id: job for job in await write.read_projections(conn, by_job)}
    jobs = []
    for job_id, events in by_job.items():
        job = known.get(job_id) or Projection(job_id)
        had_gap = job.has_gap
        fold(job, events, folded)
        if had_gap:
            await _catch_up(conn, job, folded)
        jobs.append(job)
    return jobs


async def _catch_up(conn: Connection, job: Projection, folded: Folded) -> None:
    """Fold what was stored behind a gap that may just have been filled."""
    while job.has_gap:
        before = job.through_seq
        page = await read.read_events(conn, job.job_id, before, job.max_seq, CATCH_UP_EVENTS)
        fold(job, (_event_of(each) for each in page), folded)
        if job.through_seq == before:
            return


def _event_of(stored: StoredEvent) -> Event:
    return Event(
        stored.job_id,
        stored.seq,
        stored.occurred_at,
        stored.attempt,
        stored.trace_id or b"",
        stored.kind,
        change_of(stored.kind, stored.body, stored.details),
        stored.body,
        stored.details,
    )


async def _store_payloads(conn: Connection, fresh: Iterable[Event]) -> None:
    payloads: dict[tuple[UUID, UUID], NewPayload] = {}
    awaited: dict[UUID, Event] = {}
    for event in fresh:
        if event.kind is not Kind.PAYLOAD or not isinstance(event.change, PayloadChange):
            continue
        key = (event.job_id, event.change.payload_id)
        if event.change.body is None:
            awaited.setdefault(event.change.payload_id, event)
        elif key not in payloads:
            payloads[key] = _new_payload(event, event.change)
    for payload in await match_callbacks(conn, awaited):
        payloads.setdefault((payload.job_id, payload.payload_id), payload)
    if payloads:
        await write.insert_payloads(conn, payloads.values())


def _new_payload(event: Event, change: PayloadChange) -> NewPayload:
    assert change.body is not None  # noqa: S101 - the caller has set those without body apart
    copy = None
    if change.is_deciding or change.is_callback:
        copy = copy_of(change.body, change.payload_id)
    return NewPayload(
        event.job_id,
        change.payload_id,
        event.seq,
        keep(change.body),
        raw_api_response=copy if change.is_deciding else None,
        raw_webhook_payload=copy if change.is_callback else None,
    )
