"""The whole story of one job in one round of few queries, without payload bodies."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.observability.body import bring_back
from services.observability.domain import (
    AttemptChange,
    JobNotFoundError,
    Kind,
    LedgerChange,
    PayloadNotFoundError,
)
from services.observability.fold import Attempt, Projection, fold_attempts, key_of
from services.observability.store import read
from services.observability.store.row import PayloadExtra, StoredEvent, StoredPayload
from services.observability.verdict import Verdict, judge
from services.observability.wire import change_of, has_provider_spoken
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


async def get_trail(pool: Pool, job_id: UUID) -> Trail:
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
            trail.extras = {each.payload_id: each for each in extras}
    for each in events[Kind.LEDGER]:
        change = change_of(each.kind, each.body, None)
        if isinstance(change, LedgerChange):
            trail.ledger.append((each, change))
    trail.attempts = fold_attempts(_attempt_changes(events[Kind.ATTEMPT]))
    ledger = [change for _, change in trail.ledger]
    trail.verdict = judge(job, ledger, provider_spoke=_has_provider_spoken(trail))
    return trail


async def get_payload(
    pool: Pool, blobs: BlobStore, job_id: UUID | None, payload_id: UUID
) -> tuple[StoredPayload, bytes]:
    """Return a payload and its bytes; without a job, a callback that may not be matched yet.

    Raises `PayloadNotFoundError`.
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
    if found.kept.encoding == "delivery":
        raise PayloadNotFoundError(
            str(payload_id), "is here yet: the gateway has still to send this callback's bytes"
        )
    return found, await bring_back(found.kept, blobs)


async def _claimant_of(conn: Connection, delivery_id: UUID) -> UUID | None:
    """Return the job that a callback belongs to; None where no job claims it yet."""
    found = await read.find_keys(conn, key_of(str(delivery_id)), 10)
    return next((job_id for job_id, kind in found if kind == "delivery_id"), None)


async def _read_whole(conn: Connection, job: Projection) -> dict[Kind, list[StoredEvent]]:
    events: dict[Kind, list[StoredEvent]] = {kind: [] for kind in Kind}
    for each in await read.read_events(conn, job.job_id, 0, job.through_seq, WHOLE_EVENTS):
        events[each.kind].append(each)
    return events


async def _read_huge(conn: Connection, job: Projection) -> dict[Kind, list[StoredEvent]]:
    job_id, through = job.job_id, job.through_seq
    first_steps = await read.read_first_events(conn, job_id, Kind.STEP, through, SHOWN)
    last_steps = await read.read_last_events(conn, job_id, Kind.STEP, through, SHOWN)
    seen = first_steps[-1].seq if first_steps else 0
    return {
        Kind.STEP: first_steps + [each for each in last_steps if each.seq > seen],
        Kind.NOTE: await read.read_last_events(conn, job_id, Kind.NOTE, through, SHOWN),
        Kind.PAYLOAD: await read.read_last_events(conn, job_id, Kind.PAYLOAD, through, SHOWN),
        Kind.LEDGER: await read.read_first_events(conn, job_id, Kind.LEDGER, through, SHOWN),
        Kind.ATTEMPT: await read.read_first_events(
            conn, job_id, Kind.ATTEMPT, through, WHOLE_EVENTS
        ),
    }


def _ends(steps: list[StoredEvent]) -> list[StoredEvent]:
    return steps if len(steps) <= 2 * SHOWN else steps[:SHOWN] + steps[-SHOWN:]


def _attempt_changes(events: list[StoredEvent]) -> list[tuple[datetime, AttemptChange]]:
    changes = [(each.occurred_at, change_of(each.kind, each.body, None)) for each in events]
    return [(at, change) for at, change in changes if isinstance(change, AttemptChange)]


def _has_provider_spoken(trail: Trail) -> bool:
    evidence = trail.job.evidence_payload_id
    if not evidence:
        return False
    for each in reversed(trail.payloads):
        spoke = has_provider_spoken(each.body, evidence)
        if spoke is not None:
            return spoke
    return True
