"""What may be asked of the state machine: one dataclass a command. Plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from services.queue.domain import Details, SavedOutput
from services.runninghub.report import TaskReport
from services.runninghub.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Payload:
    """Masked bytes of one half of a call, ready to be stored.

    `info` holds the fields of PayloadInfo; one of `content` and `blob_sha256` the bytes.
    """

    payload_id: UUID
    info: Details
    content: bytes | None = None
    blob_sha256: str = ""


@dataclass(frozen=True, slots=True)
class RejectMedia:
    """The media of a pending job was refused or did not arrive."""

    job_id: UUID
    error_class: str
    message: str
    details: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AskCancel:
    """The user wants the job ended."""

    job_id: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class CheckDeadline:
    """A phase's time is up; decides what that means for the job as it is now."""

    job_id: UUID


@dataclass(frozen=True, slots=True)
class ExpireLease:
    """Whoever worked on the attempt stopped renewing it."""

    job_id: UUID
    attempt: int


@dataclass(frozen=True, slots=True)
class BeginStart:
    """The first byte of the start call is about to be sent."""

    job_id: UUID
    attempt: int
    token_sha256: bytes
    traceparent: str
    payloads: Sequence[Payload] = ()


@dataclass(frozen=True, slots=True)
class Accept:
    """The provider gave a task id for the start call."""

    job_id: UUID
    attempt: int
    task_id: str
    payloads: Sequence[Payload] = ()


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing was started: the provider said so, or the call never left."""

    job_id: UUID
    attempt: int
    token_sha256: bytes
    verdict: Verdict
    payloads: Sequence[Payload] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """Nothing was sent, for a reason of ours; somebody else may take the job at once."""

    job_id: UUID
    attempt: int
    token_sha256: bytes
    words: str
    payloads: Sequence[Payload] = ()


@dataclass(frozen=True, slots=True)
class LoseReply:
    """The start call may have arrived, and no reply came that tells. `words` say what did come."""

    job_id: UUID
    attempt: int
    token_sha256: bytes
    payloads: Sequence[Payload] = ()
    words: str = "no reply"


@dataclass(frozen=True, slots=True)
class SeeCallback:
    """A stored callback carries this attempt's token. A hint, not a fact."""

    job_id: UUID
    attempt: int
    delivery_id: UUID
    received_at: datetime
    event: str
    task_id: str
    task_status: str
    traceparent: str
    is_repeat: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The provider answered a query about the attempt's task."""

    job_id: UUID
    attempt: int
    report: TaskReport
    verdict: Verdict
    payloads: Sequence[Payload] = ()
    answer_sha256: bytes = b""
    by_callback: bool = False


@dataclass(frozen=True, slots=True)
class MissAnswer:
    """A query brought no usable answer. Never changes the job's state."""

    job_id: UUID
    attempt: int
    words: str
    payloads: Sequence[Payload] = ()


@dataclass(frozen=True, slots=True)
class NoteStop:
    """The provider was asked to stop the task; what it reports next decides."""

    job_id: UUID
    attempt: int
    payloads: Sequence[Payload] = ()


@dataclass(frozen=True, slots=True)
class SaveOutputs:
    """The outputs of a verified success are in our storage."""

    job_id: UUID
    attempt: int
    outputs: Sequence[SavedOutput]
    payloads: Sequence[Payload] = ()


@dataclass(frozen=True, slots=True)
class GiveUpOutputs:
    """The outputs of a verified success can't be saved for good."""

    job_id: UUID
    attempt: int
    error_class: str
    message: str
    outputs: Sequence[SavedOutput] = ()
    payloads: Sequence[Payload] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """Something worth keeping that changes no state: a payload, a note."""

    job_id: UUID
    attempt: int
    payloads: Sequence[Payload] = ()
    note: tuple[str, str, Details] | None = None


Command: TypeAlias = (
    RejectMedia
    | AskCancel
    | CheckDeadline
    | ExpireLease
    | BeginStart
    | Accept
    | Refuse
    | Release
    | LoseReply
    | SeeCallback
    | Answer
    | MissAnswer
    | NoteStop
    | SaveOutputs
    | GiveUpOutputs
    | Record
)
