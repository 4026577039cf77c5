"""What the store gives and takes beyond the domain's own types, and how rows become them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from services.observability.body import Kept
from services.observability.domain import Kind, Status, Step
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


@dataclass(frozen=True, slots=True)
class NewPayload:
    """A payload to be stored. `kept` None means that the gateway's bytes are awaited."""

    job_id: UUID
    payload_id: UUID
    seq: int
    kept: Kept
    info: bytes | None = None
    raw_api_response: str | None = None
    raw_webhook_payload: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """The meeting place of a callback. Content is None unless the state is `unmatched`."""

    delivery_id: UUID
    state: str
    job_id: UUID | None = None
    kept: Kept | None = None
    info: bytes | None = None
    raw_webhook_payload: str | None = None


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


_COLUMNS = tuple(each.name for each in fields(Projection))


def projection_of(record: Any) -> Projection:
    """Build a projection from a row of `job_summaries`."""
    job = Projection(*[record[name] for name in _COLUMNS])
    if record["status"] is not None:
        job.status, job.current_step = Status(record["status"]), Step(record["current_step"])
    if record["failed_at_step"] is not None:
        job.failed_at_step = Step(record["failed_at_step"])
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


def kept_of(record: Any) -> Kept:
    """Build a body's whereabouts from a row that has them."""
    return Kept(record["encoding"], record["body"], record["blob_sha256"])
