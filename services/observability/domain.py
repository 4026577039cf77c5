"""What a job's history is made of, and which errors its readers may meet. Pure data.

Changes are named tuples where they can be: a job has some twenty, and a frozen dataclass takes two
to four times as long to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, TypeAlias
from uuid import UUID

from services.runtime.errors import DuplicateError, ExpiredError, NotFoundError

# Above this a body goes to the blob store (design §4).
INLINE_BYTES = 64 * 1024


class Status(StrEnum):
    """Where a job stands, in the order of the protos' enum."""

    # Enum's own is Python code, and these are looked up by some twenty times a job.
    __hash__ = str.__hash__

    PENDING = "pending"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in FINAL


FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
PHASES = {
    Status.PENDING: "waiting",
    Status.QUEUED: "waiting",
    Status.STARTING: "busy",
    Status.RUNNING: "busy",
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
}


class Step(StrEnum):
    """The fixed vocabulary of the timeline, in the order of the protos' enum."""

    __hash__ = str.__hash__

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


FINAL_STEPS = {
    Step.COMPLETED: Status.COMPLETED,
    Step.FAILED: Status.FAILED,
    Step.CANCELLED: Status.CANCELLED,
}


class Kind(StrEnum):
    """What sort of thing an event tells."""

    __hash__ = str.__hash__

    STEP = "step"
    ATTEMPT = "attempt"
    LEDGER = "ledger"
    NOTE = "note"
    PAYLOAD = "payload"
    REPEAT = "repeat"
    OUTPUTS = "outputs"


class JobFacts(NamedTuple):
    """What never changes about a job; it comes with the first step."""

    tool: str
    variant: str
    user_id: str
    cost: int
    input_json: str
    caller: str
    request_id: str
    retry_of: str


class Failure(NamedTuple):
    """Where and why a job failed. `at_step` is None where the sender did not say."""

    at_step: Step | None
    error_class: str
    message: str
    evidence_payload_id: str
    evidence_path: str


class Outputs(NamedTuple):
    """Outputs in the provider's order: packed as stored, and what a summary needs of them."""

    packed: bytes
    first_url: str
    urls: tuple[str, ...]


class StepChange(NamedTuple):
    """A step was reached; `status` is the job's after it."""

    step: Step
    status: Status
    details_json: str
    facts: JobFacts | None = None
    failure: Failure | None = None
    outputs: Outputs | None = None


class AttemptChange(NamedTuple):
    """An attempt's state after a change."""

    number: int
    account: str
    phase: str
    task_id: str
    outcome: str
    error_class: str
    coins: str
    money: str
    task_cost_time: str


class LedgerChange(NamedTuple):
    """Credits moved: `kind` is grant, reserve, capture or refund."""

    kind: str
    amount: int


class NoteChange(NamedTuple):
    """A line beside a step; its details may complete those of an earlier step."""

    completes: Step | None = None


class Body(NamedTuple):
    """Bytes to be stored (masked already), or the digest of the blob that holds them."""

    data: bytes = b""
    blob_sha256: str = ""


class PayloadChange(NamedTuple):
    """A payload. `body` is None where the gateway sends it: then payload_id is a delivery id."""

    payload_id: UUID
    is_callback: bool
    is_deciding: bool
    body: Body | None

    @property
    def is_large(self) -> bool:
        """Whether the body is too large for a row."""
        return self.body is not None and len(self.body.data) > INLINE_BYTES


@dataclass(frozen=True, slots=True)
class RepeatChange:
    """An equal answer came again."""

    payload_id: UUID
    count: int
    last_at: datetime


class OutputsChange(NamedTuple):
    """Outputs were saved after a final status."""

    outputs: Outputs


Change: TypeAlias = (
    StepChange
    | AttemptChange
    | LedgerChange
    | NoteChange
    | PayloadChange
    | RepeatChange
    | OutputsChange
)


@dataclass(slots=True)
class Event:
    """One numbered thing that happened to a job.

    `packed` is its message as a chapter holds it; `details` the details of a step, or those that
    complete one, as jsonb text or None.
    """

    job_id: UUID
    seq: int
    occurred_at: datetime
    attempt: int
    trace_id: bytes | None
    kind: Kind
    change: Change
    packed: bytes
    details: str | None = None


class JobNotFoundError(NotFoundError):
    """No event of that job has arrived."""

    reason = "JOB_NOT_FOUND"

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"no job {job_id} is in the history; a job just created appears within a second",
            {"job_id": job_id},
        )


class PayloadNotFoundError(NotFoundError):
    """No payload of that id, or its body has not arrived yet."""

    reason = "PAYLOAD_NOT_FOUND"

    def __init__(self, payload_id: str, why: str = "is kept") -> None:
        super().__init__(f"no payload {payload_id} {why}", {"payload_id": payload_id})


class SeqExpiredError(ExpiredError):
    """The wanted events of a job are no longer kept, or were never there."""

    reason = "SEQ_EXPIRED"

    def __init__(self, job_id: str, after_seq: int) -> None:
        super().__init__(
            f"the events of job {job_id} after {after_seq} are not kept: read the trail, then "
            "watch from its through_seq",
            {"job_id": job_id, "after_seq": str(after_seq)},
        )


class CursorExpiredError(ExpiredError):
    """The changes after a cursor are no longer kept."""

    reason = "CURSOR_EXPIRED"

    def __init__(self) -> None:
        super().__init__("the changes after this cursor are not kept: start without a cursor")


class ViewTakenError(DuplicateError):
    """The name of a tool's view belongs to something else."""

    reason = "VIEW_TAKEN"

    def __init__(self, view: str) -> None:
        super().__init__(
            f"a relation public.{view} exists that is no view of this tool: rename either",
            {"view": view},
        )
