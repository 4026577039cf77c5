"""What the queue is about: jobs, attempts, events, money, and the errors callers see.

Plain values. No I/O, no clock, no SQL, no proto. The rules that change them are in `machine.py`.
Those that every transition makes or copies are structs, which cost a tenth of dataclasses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

from msgspec import Struct

from services.runtime.errors import (
    DuplicateError,
    ForbiddenTransitionError,
    InvalidInputError,
    LostRaceError,
    NotFoundError,
    QuotaError,
)

Details: TypeAlias = Mapping[str, Any]

# Spent in this order; a refund goes back to where its reserve came from.
BUCKETS = ("monthly", "lifetime")
# A position beyond this is shown as "1000+".
MAX_EXACT_POSITION = 1000


class JobStatus(StrEnum):
    """Where a job stands. Final is final."""

    PENDING = "pending"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing will change it any more."""
        return self in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


class Step(StrEnum):
    """The fixed vocabulary of the timeline."""

    UPLOAD = "upload"
    INSERT = "insert"
    CREDITS = "credits"
    QUEUE_CHECK = "queue_check"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    WEBHOOK_RECEIVED = "webhook_received"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Phase(StrEnum):
    """Where an attempt stands.

    `claimed`: has a slot, nothing sent. `submitting`: committed just before the first byte of the
    start call. `accepted`: the provider gave a task id. `finalising`: success verified, outputs
    being saved. `waiting`: definitely not started, goes on when a slot is free. `ended`.
    """

    CLAIMED = "claimed"
    SUBMITTING = "submitting"
    ACCEPTED = "accepted"
    FINALISING = "finalising"
    WAITING = "waiting"
    ENDED = "ended"


class Outcome(StrEnum):
    """How an attempt ended. `unknown`: a start that may have arrived was never heard of again."""

    OPEN = ""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    UNKNOWN = "unknown"

    @property
    def is_verified(self) -> bool:
        """Whether the provider itself told it, so that no further query can change it."""
        return self in (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED, Outcome.REFUSED)


class Health(StrEnum):
    """Whether an account takes jobs."""

    OK = "ok"
    FULL = "full"
    UNREACHABLE = "unreachable"
    UNAUTHORIZED = "unauthorized"
    NO_MONEY = "no_money"

    @property
    def rests(self) -> bool:
        """Whether it comes back by itself after a rest, probed by one job."""
        return self in (Health.FULL, Health.UNREACHABLE)


class LedgerKind(StrEnum):
    """What a ledger entry did."""

    GRANT = "grant"
    RESERVE = "reserve"
    CAPTURE = "capture"
    REFUND = "refund"


# Book accounts: where each kind takes from and gives to.
BOOKS: Mapping[LedgerKind, tuple[str, str]] = {
    LedgerKind.GRANT: ("issuance", "available"),
    LedgerKind.RESERVE: ("available", "reserved"),
    LedgerKind.CAPTURE: ("reserved", "revenue"),
    LedgerKind.REFUND: ("reserved", "available"),
}


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Deadlines of a tool's phases, in seconds."""

    upload_s: float
    queue_wait_s: float
    start_s: float
    run_s: float
    finalise_s: float


class Attempt(Struct, gc=False):
    """The current attempt of a job, as `queue.attempts` holds it."""

    number: int
    account: str
    slot: int
    phase: Phase
    token_sha256: bytes
    claimed_at: datetime
    task_id: str = ""
    outcome: Outcome = Outcome.OPEN
    error_class: str = ""
    is_unknown: bool = False
    lease_until: datetime | None = None
    next_poll_at: datetime | None = None
    polls: int = 0
    poll_failures: int = 0
    poll_sha256: bytes | None = None
    poll_payload_id: UUID | None = None
    poll_repeats: int = 0
    callbacks: int = 0
    empty_successes: int = 0
    stop_asked_at: datetime | None = None
    stop_for: str = ""
    traceparent: str = ""
    submitted_at: datetime | None = None
    accepted_at: datetime | None = None
    ended_at: datetime | None = None
    results: str | None = None
    coins: str = ""
    money: str = ""
    task_cost_time: str = ""
    # Whether the start call named a URL of ours to call back.
    callback_asked: bool = False


class JobState(Struct, gc=False):
    """All of a job that a transition may read or change. Large texts stay in the database."""

    id: UUID
    tool: str
    variant: str
    user_id: str
    cost: int
    traceparent: str
    limits: TimeLimits
    created_at: datetime
    status: JobStatus
    current_step: Step
    seq: int
    failed_at_step: Step | None = None
    error_class: str = ""
    error_message: str = ""
    attempt: int = 0
    retries: int = 0
    enqueue_seq: int | None = None
    not_before: datetime | None = None
    deadline_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    charge: Mapping[str, int] | None = None
    submission_sha256: bytes | None = None
    # Machine for the next attempt; "" as submitted.
    instance_type: str = ""
    # How long the tool usually runs at the provider; None before its first run.
    typical_run_s: float | None = None
    # True when the database holds outputs already; the outputs themselves are not loaded.
    has_outputs: bool = False
    current: Attempt | None = None


class EventKind(StrEnum):
    """Kinds of event in the outbox."""

    STEP = "step"
    ATTEMPT = "attempt"
    LEDGER = "ledger"
    NOTE = "note"
    PAYLOAD = "payload"
    REPEAT = "repeat"
    OUTPUTS = "outputs"


class NewEvent(Struct, frozen=True, gc=False):
    """An event without its number. `body` by `kind` is as `draft.py` makes it and `events.py` reads
    it; `content` the masked payload bytes.
    """

    kind: EventKind
    occurred_at: datetime
    attempt: int
    body: Details
    content: bytes | None = None


class LedgerEntry(Struct, frozen=True, gc=False):
    """One movement of credits between two book accounts."""

    entry_id: UUID
    user_id: str
    kind: LedgerKind
    bucket: str
    amount: int
    created_at: datetime
    job_id: UUID | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class AccountEffect:
    """What an attempt taught about its account. `rest_s` is the first rest; it doubles."""

    account: str
    health: Health
    words: str = ""
    rest_s: float = 0


@dataclass(frozen=True, slots=True)
class SavedOutput:
    """One output in our storage, or a text. `sha256` is "" where the file could not be saved."""

    url: str
    provider_url: str
    sha256: str
    bytes: int
    content_type: str
    node_id: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A media file of a job in the blob store."""

    name: str
    sha256: str
    bytes: int
    content_type: str
    file_name: str
    width: int = 0
    height: int = 0
    duration_s: float = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One entry of nodeInfoList: a literal `text`, or the name of a media as file or as URL."""

    node_id: str
    field_name: str
    text: str | None = None
    media_file: str | None = None
    media_url: str | None = None


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A parameter that was accepted and is not sent as given; `sent` is "" if not at all."""

    field: str
    given: str
    sent: str
    why: str


@dataclass(frozen=True, slots=True)
class Submission:
    """All that the provider is asked for."""

    webapp_id: str
    nodes: Sequence[Node]
    media: Sequence[MediaFile]
    instance_type: str = "default"
    adjustments: Sequence[Adjustment] = ()


class Change(Struct):
    """What one transition writes: the job after it, and everything that goes with it."""

    before: JobState
    after: JobState
    events: list[NewEvent] = []
    entries: list[LedgerEntry] = []
    submission: Submission | None = None
    outputs: Sequence[SavedOutput] | None = None
    cancel_reason: str = ""
    takes_slot: bool = False
    frees_slot: bool = False
    # Known after the write: a job waited for the slot that it freed.
    is_awaited: bool = False
    attempt_changed: bool = False
    poll_done: bool = False
    # The commit itself takes the poll that it makes due: this process asks at once.
    takes_poll: bool = False
    account_effect: AccountEffect | None = None

    @property
    def ends_job(self) -> bool:
        """Whether the job became final by it."""
        return self.after.status.is_final and not self.before.status.is_final


class JobNotFoundError(NotFoundError):
    """No such job, or it was pruned (its trail is kept in observability)."""

    reason = "JOB_NOT_FOUND"

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"no job has the id {job_id!r}; `find` searches by any other id", {"job_id": job_id}
        )


class ToolNotFoundError(NotFoundError):
    """The tool or its variant was never announced."""

    reason = "TOOL_NOT_FOUND"

    def __init__(self, tool: str, variant: str = "") -> None:
        what = f"{tool!r}" + (f" with variant {variant!r}" if variant else "")
        super().__init__(
            f"no tool {what} is announced; ListTools names those there are",
            {"tool": tool, "variant": variant},
        )


class AccountNotFoundError(NotFoundError):
    """No such account, and the request does not hold all that a new one needs."""

    reason = "ACCOUNT_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"no account is named {name!r}; to make it, give base_url, api_key and slots",
            {"account": name},
        )


class RequestIdReusedError(DuplicateError):
    """The same request_id came with other content."""

    reason = "REQUEST_ID_REUSED"

    def __init__(self, request_id: str, what: str) -> None:
        super().__init__(
            f"request_id {request_id!r} was used before with another {what}; "
            "use a new request_id for a new request",
            {"request_id": request_id, "differs": what},
        )


class TooManyActiveJobsError(QuotaError):
    """The user has as many active jobs as allowed."""

    reason = "TOO_MANY_ACTIVE_JOBS"

    def __init__(self, user_id: str, limit: int, active: Sequence[UUID]) -> None:
        names = ", ".join(str(job) for job in active)
        self.user_id = user_id
        super().__init__(
            f"user {user_id!r} may have {limit} active job(s) at a time and has: {names}; "
            "wait for it or cancel it",
            {"user_id": user_id, "limit": str(limit), "active_job_ids": names},
        )


class JobAlreadyFinalError(ForbiddenTransitionError):
    """A final job can't be changed."""

    reason = "JOB_ALREADY_FINAL"

    def __init__(self, job_id: UUID, status: JobStatus) -> None:
        super().__init__(
            f"job {job_id} is {status} already; final stays final",
            {"job_id": str(job_id), "status": status.value},
        )


class JobNotFinalError(ForbiddenTransitionError):
    """Only a final job can be tried again."""

    reason = "JOB_NOT_FINAL"

    def __init__(self, job_id: UUID, status: JobStatus) -> None:
        super().__init__(
            f"job {job_id} is still {status}; cancel it or wait for its end before trying again",
            {"job_id": str(job_id), "status": status.value},
        )


class JobNotRetryableError(ForbiddenTransitionError):
    """The job failed before its inputs were complete, so there is nothing to run again."""

    reason = "JOB_NOT_RETRYABLE"

    def __init__(self, job_id: UUID) -> None:
        super().__init__(
            f"job {job_id} ended before its media had arrived; send it again as a new job",
            {"job_id": str(job_id)},
        )


class JobNotPendingError(ForbiddenTransitionError):
    """Media can only be refused while it is awaited."""

    reason = "JOB_NOT_PENDING"

    def __init__(self, job_id: UUID, status: JobStatus) -> None:
        super().__init__(
            f"job {job_id} is {status}: its media was accepted; cancel the job instead",
            {"job_id": str(job_id), "status": status.value},
        )


class JobNotQueuedError(ForbiddenTransitionError):
    """Only a queued job waits."""

    reason = "JOB_NOT_QUEUED"

    def __init__(self, job_id: UUID, status: JobStatus) -> None:
        super().__init__(
            f"job {job_id} is {status}, so it does not wait in the queue",
            {"job_id": str(job_id), "status": status.value},
        )


class StaleAttemptError(LostRaceError):
    """Somebody else moved the attempt on; whoever holds this must let it go."""

    reason = "STALE_ATTEMPT"

    def __init__(self, job_id: UUID, attempt: int, why: str) -> None:
        super().__init__(
            f"attempt {attempt} of job {job_id} moved on: {why}",
            {"job_id": str(job_id), "attempt": str(attempt)},
        )


class BadRequestError(InvalidInputError):
    """A field of the request is missing or out of range."""

    reason = "INVALID_ARGUMENT"
