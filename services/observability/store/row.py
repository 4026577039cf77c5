"""What the store gives and takes beyond the domain's own types, and how rows become them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.observability.body import Kept
from services.observability.domain import Event, Kind, Status, Step
from services.observability.fold import Projection


@dataclass(slots=True, eq=False)
class StoredEvent:
    """An event as read: `body` is the kind's message, `details` a step's details or None.

    Equal to itself only, so that what is made of one for a thousand watchers is made once.
    """

    job_id: UUID
    seq: int
    attempt: int
    occurred_at: datetime
    kind: Kind
    details: str | None
    trace_id: bytes | None
    body: bytes


class NewPayload(NamedTuple):
    """A row of payloads, in the order of its columns; a callback's bytes are in deliveries."""

    job_id: UUID
    seq: int
    payload_id: UUID
    encoding: str
    shown_as: str | None
    body: bytes | None
    blob_sha256: str | None


class Delivery(NamedTuple):
    """A row of deliveries, in the order of its columns: a callback as the gateway told it."""

    delivery_id: UUID
    received_at: datetime
    encoding: str
    body: bytes | None
    blob_sha256: str | None
    info: bytes


@dataclass(frozen=True, slots=True)
class StoredPayload:
    """A payload with its body; `info` is the gateway's description, `event_body` the queue's."""

    kept: Kept
    info: bytes | None
    event_body: bytes
    repeats: int
    last_repeat_at: datetime | None


@dataclass(frozen=True, slots=True)
class PayloadExtra:
    """What was learned of a payload after its event."""

    payload_id: UUID
    info: bytes | None
    repeats: int
    last_repeat_at: datetime | None


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """Where a feed stands, in transaction ids: see `read_feed_position.sql`."""

    cursor: int
    next: int
    floor: int


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What a list is narrowed to; None or empty means all. Times are [from, to) of created_at."""

    user_id: str | None = None
    tool: str | None = None
    statuses: tuple[Status, ...] = ()
    failed_at_step: Step | None = None
    error_class: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None

    def admits(self, job: Projection) -> bool:
        """Tell whether a feed for this user and tool shows the job."""
        return (self.user_id is None or job.user_id == self.user_id) and (
            self.tool is None or job.tool == self.tool
        )


# The columns of jobs and those of job_progress, each in the order of the migration.
JOB_COLUMNS: Final = (
    *("job_id", "revision", "through_seq", "max_seq", "tool", "variant", "user_id", "caller"),
    *("request_id", "retry_of", "cost", "input_json", "trace_id", "status", "phase"),
    *("current_step", "failed_at_step", "error_class", "error_message", "evidence_payload_id"),
    *("evidence_path", "created_at", "started_at", "completed_at", "attempt", "account"),
    *("task_id", "output_url", "outputs", "step_count", "note_count", "payload_count"),
)
_FACTS: Final = {
    *("tool", "variant", "user_id", "caller", "request_id", "retry_of", "cost", "input_json")
}
PROGRESS_COLUMNS: Final = tuple(name for name in JOB_COLUMNS if name not in _FACTS)
job_row: Final[Callable[[Projection], tuple[object, ...]]] = attrgetter(*JOB_COLUMNS)
progress_row: Final[Callable[[Projection], tuple[object, ...]]] = attrgetter(*PROGRESS_COLUMNS)


def projection_of(record: Any) -> Projection:
    """Build a projection from a row of `job_summaries`, or from the part that moves of one."""
    values = dict(record)
    # It follows from the status.
    values.pop("phase")
    job = Projection(**values)
    if job.status is not None:
        job.status, job.current_step = Status(job.status), Step(record["current_step"])
    if job.failed_at_step is not None:
        job.failed_at_step = Step(job.failed_at_step)
    return job


def event_of(record: Any) -> StoredEvent:
    """Build an event from a row of `events`."""
    return StoredEvent(
        record["job_id"],
        record["seq"],
        record["attempt"],
        record["occurred_at"],
        Kind(record["kind"]),
        record["details"],
        record["trace_id"],
        record["body"],
    )


def stored(event: Event) -> StoredEvent:
    """Return an event that has just been stored as it will be read, but for spaces in `details`."""
    return StoredEvent(
        event.job_id,
        event.seq,
        event.attempt,
        event.occurred_at,
        event.kind,
        event.details,
        event.trace_id,
        event.body,
    )


def kept_of(record: Any) -> Kept:
    """Build a body's whereabouts from a row that has them."""
    return Kept(record["encoding"], record["body"], record["blob_sha256"])
