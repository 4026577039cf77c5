"""The whole story of one job in one round of few queries, without payload bodies."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.observability.body import Kept
from services.observability.chapter import StoredEvent, events_of
from services.observability.domain import (
    AttemptChange,
    JobNotFoundError,
    Kind,
    LedgerChange,
    PayloadNotFoundError,
)
from services.observability.fold import Attempt, Projection, fold_attempts, key_of
from services.observability.history import read_events, read_first_events, read_last_events
from services.observability.store import read
from services.observability.store.dictionary import Dictionaries
from services.observability.store.row import PayloadExtra, StoredPayload
from services.observability.verdict import Verdict, judge
from services.observability.wire import attempt_change, has_provider_spoken, ledger_change
from services.runtime.blobs import BlobStore
from services.runtime.db import Connection, Pool

# What the contract shows of a huge job.
SHOWN = 1000
# Up to here one query reads all events of a job; above, each list is read by itself, bounded.
WHOLE_EVENTS = 4000


@dataclass(slots=True)
class Trail:
    """What `GetTrail` answers. Lists are in order of seq."""

    job: Projection
    steps: list[StoredEvent] = field(default_factory=list)
    notes: list[StoredEvent] = field(default_factory=list)
    payloads: list[StoredEvent] = field(default_factory=list)
    ledger: list[tuple[StoredEvent, LedgerChange]] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    extras: dict[UUID, PayloadExtra] = field(default_factory=dict)
    verdict: Verdict | None = None

    @property
    def left_out(self) -> int:
        """How many events the lists do not show."""
        return (
            self.job.step_count
            + self.job.note_count
            + self.job.payload_count
            - len(self.steps)
            - len(self.notes)
            - len(self.payloads)
        )


async def get_trail(pool: Pool, dictionaries: Dictionaries, job_id: UUID) -> Trail:
    """Return the story of a job up to its first gap. Raises `JobNotFoundError`."""
    async with pool.acquire() as conn:
        job = await read.read_job(conn, job_id)
        if job is None:
            raise JobNotFoundError(str(job_id))
        # Events are never changed, so through_seq bounds all reads to one moment.
        events = await (_read_whole if job.through_seq <= WHOLE_EVENTS else _read_huge)(conn, job)
        trail = Trail(job, steps=_ends(events[Kind.STEP]))
        trail.notes = events[Kind.NOTE][-SHOWN:]
        trail.payloads = events[Kind.PAYLOAD][-SHOWN:]
        if trail.payloads:
            extras = await read.read_payload_extras(conn, job_id, job.through_seq, SHOWN)
            for each in extras:
                info = await dictionaries.unpack(conn, each.info) if each.info else None
                trail.extras[each.payload_id] = each._replace(info=info)
    trail.ledger = [(each, ledger_change(each.message.ledger)) for each in events[Kind.LEDGER]]
    trail.attempts = fold_attempts(_attempt_changes(events[Kind.ATTEMPT]))
    ledger = [change for _, change in trail.ledger]
    trail.verdict = judge(job, ledger, provider_spoke=_has_provider_spoken(trail))
    return trail


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload with its body: the gateway's description, packed, and the job's event."""

    payload_id: UUID
    body: bytes
    info: bytes | None
    event: StoredEvent | None
    repeats: int
    last_repeat_at: datetime | None


async def get_payload(
    pool: Pool,
    blobs: BlobStore,
    dictionaries: Dictionaries,
    job_id: UUID | None,
    payload_id: UUID,
) -> Payload:
    """Return a payload; without a job, a callback that may not be matched yet.

    Raises `PayloadNotFoundError`, or `BlobNotFoundError` on an erased blob.
    """
    async with pool.acquire() as conn:
        if job_id is None:
            job_id = await _claimant_of(conn, payload_id)
        if job_id is None:
            found = await read.read_delivery(conn, payload_id)
        else:
            found = await read.read_payload(conn, job_id, payload_id)
        if found is None:
            raise PayloadNotFoundError(str(payload_id))
        if found.kept == Kept():
            raise PayloadNotFoundError(
                str(payload_id), "is here yet: the gateway has still to send this callback's bytes"
            )
        info = await dictionaries.unpack(conn, found.info) if found.info else None
        body = await dictionaries.unpack(conn, found.kept.frame) if found.kept.frame else b""
    if found.kept.blob_sha256 is not None:
        body = await blobs.get(found.kept.blob_sha256)
    return Payload(payload_id, body, info, _event_of(found), found.repeats, found.last_repeat_at)


def _event_of(found: StoredPayload) -> StoredEvent | None:
    if found.chapter is None:
        return None
    return next(each for each in events_of([found.chapter]) if each.seq == found.seq)


async def _claimant_of(conn: Connection, delivery_id: UUID) -> UUID | None:
    """Return the job that a callback belongs to; None where no job claims it yet."""
    found = await read.find_keys(conn, key_of(str(delivery_id)), 10)
    return next((job_id for job_id, kind in found if kind == "delivery_id"), None)


async def _read_whole(conn: Connection, job: Projection) -> dict[Kind, list[StoredEvent]]:
    events: dict[Kind, list[StoredEvent]] = {kind: [] for kind in Kind}
    for each in await read_events(conn, job.job_id, 0, job.through_seq, WHOLE_EVENTS):
        events[each.kind].append(each)
    return events


async def _read_huge(conn: Connection, job: Projection) -> dict[Kind, list[StoredEvent]]:
    job_id, through = job.job_id, job.through_seq
    first_steps = await read_first_events(conn, job_id, Kind.STEP, through, SHOWN)
    last_steps = await read_last_events(conn, job_id, Kind.STEP, through, SHOWN)
    seen = first_steps[-1].seq if first_steps else 0
    return {
        Kind.STEP: first_steps + [each for each in last_steps if each.seq > seen],
        Kind.NOTE: await read_last_events(conn, job_id, Kind.NOTE, through, SHOWN),
        Kind.PAYLOAD: await read_last_events(conn, job_id, Kind.PAYLOAD, through, SHOWN),
        Kind.LEDGER: await read_first_events(conn, job_id, Kind.LEDGER, through, SHOWN),
        Kind.ATTEMPT: await read_first_events(conn, job_id, Kind.ATTEMPT, through, WHOLE_EVENTS),
    }


def _ends(steps: list[StoredEvent]) -> list[StoredEvent]:
    return steps if len(steps) <= 2 * SHOWN else steps[:SHOWN] + steps[-SHOWN:]


def _attempt_changes(events: list[StoredEvent]) -> list[tuple[datetime, AttemptChange]]:
    return [(each.occurred_at, attempt_change(each.message.attempt_change)) for each in events]


def _has_provider_spoken(trail: Trail) -> bool:
    evidence = trail.job.evidence_payload_id
    if not evidence:
        return False
    for each in reversed(trail.payloads):
        spoke = has_provider_spoken(each.message.payload.info, evidence)
        if spoke is not None:
            return spoke
    return True
