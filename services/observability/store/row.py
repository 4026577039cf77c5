"""What the store gives and takes beyond the domain's own types, and how rows become them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.observability.body import Kept
from services.observability.domain import Status, Step
from services.observability.fold import Projection


class Chapter(NamedTuple):
    """Consecutive events of a job; `body` has them whole, packed."""

    job_id: UUID
    seq: int
    last_seq: int
    trace_id: bytes | None
    body: bytes


class NewChapter(NamedTuple):
    """A row of chapters, in the order of its columns; `steps` is jsonb text."""

    job_id: UUID
    seq: int
    last_seq: int
    trace_id: bytes | None
    kinds: str
    steps: str | None
    body: bytes


class NewPayload(NamedTuple):
    """A row of payloads, in the order of its columns; a callback's bytes are in deliveries."""

    job_id: UUID
    payload_id: UUID
    seq: int
    last_repeat_at: datetime | None
    repeats: int | None
    shown_as: str | None
    frame: bytes | None
    blob_sha256: str | None


class Delivery(NamedTuple):
    """A row of deliveries, in the order of its columns: a callback as the gateway told it.

    `frame` and `info` are frames.
    """

    delivery_id: UUID
    received_at: datetime
    frame: bytes | None
    blob_sha256: str | None
    info: bytes


@dataclass(frozen=True, slots=True)
class StoredPayload:
    """A payload: where its body is, the gateway's description (a frame), and the job's event."""

    kept: Kept
    info: bytes | None
    chapter: Chapter | None = None
    seq: int = 0
    repeats: int = 0
    last_repeat_at: datetime | None = None


class PayloadExtra(NamedTuple):
    """What was learned of a payload after its event; `info` is a frame."""

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
_STATUSES: Final[Mapping[str, Status]] = {each.value: each for each in Status}
_STEPS: Final[Mapping[str, Step]] = {each.value: each for each in Step}
job_row: Final[Callable[[Projection], tuple[object, ...]]] = attrgetter(*JOB_COLUMNS)
progress_row: Final[Callable[[Projection], tuple[object, ...]]] = attrgetter(*PROGRESS_COLUMNS)


def projection_of(record: Any) -> Projection:
    """Build a projection from a row of `job_summaries`."""
    # The phase, which is last, follows from the status.
    return _with_words(Projection(*tuple(record)[:-1]))


def progress_of(record: Any) -> Projection:
    """Build a projection from a row of `read_progress.sql`: of the job's facts only the tool."""
    return _with_words(Projection(*record))


def _with_words(job: Projection) -> Projection:
    """Give a projection the domain's words for the texts that were read."""
    if job.status is not None and job.current_step is not None:
        job.status, job.current_step = _STATUSES[job.status], _STEPS[job.current_step]
    if job.failed_at_step is not None:
        job.failed_at_step = _STEPS[job.failed_at_step]
    return job


def chapter_of(record: Any) -> Chapter:
    """Build a chapter from a row that has it."""
    return Chapter(
        record["job_id"], record["seq"], record["last_seq"], record["trace_id"], record["body"]
    )


def kept_of(record: Any) -> Kept:
    """Build a body's whereabouts from a row that has them."""
    return Kept(record["frame"], record["blob_sha256"])
