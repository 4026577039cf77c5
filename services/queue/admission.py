"""The rules of admission: a job's first step, its price, and its place in the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.queue.domain import (
    BUCKETS,
    Change,
    JobState,
    JobStatus,
    MediaFile,
    Step,
    Submission,
    TimeLimits,
)
from services.queue.draft import Draft
from services.queue.policy import Policy


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be admitted. `params_sha256` covers all that makes the request what it is."""

    id: UUID
    caller: str
    request_id: str
    user_id: str
    tool: str
    variant: str
    input_json: str
    file_names: Mapping[str, str]
    params_sha256: bytes
    cost: int
    limits: TimeLimits
    traceparent: str
    retry_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class QueueView:
    """What the queue looked like, under the gate, when a job joined it."""

    slots_available: int
    global_running: int
    queue_length: int
    # Tools of which no job may start now.
    paused_tools: Sequence[str] = ()


def create(new: NewJob, now: datetime, policy: Policy) -> Change:
    """Admit a job: status pending, step `upload`."""
    job = JobState(
        id=new.id,
        tool=new.tool,
        variant=new.variant,
        user_id=new.user_id,
        cost=new.cost,
        traceparent=new.traceparent,
        limits=new.limits,
        created_at=now,
        status=JobStatus.PENDING,
        current_step=Step.UPLOAD,
        seq=0,
        deadline_at=now + timedelta(seconds=policy.scaled(new.limits.upload_s)),
    )
    draft = Draft(job, now, policy)
    facts: dict[str, Any] = {
        "tool": new.tool,
        "variant": new.variant,
        "user_id": new.user_id,
        "cost": new.cost,
        "input_json": new.input_json,
        "caller": new.caller,
        "request_id": new.request_id,
        "retry_of": str(new.retry_of) if new.retry_of else "",
    }
    names = ", ".join(filter(None, new.file_names.values()))
    draft.step(Step.UPLOAD, JobStatus.PENDING, {"fileName": names}, facts=facts)
    return draft.change


def submit(
    job: JobState,
    submission: Submission,
    submission_sha256: bytes,
    inputs: Any,
    balances: Mapping[str, int],
    queue: QueueView,
    enqueue_seq: int,
    now: datetime,
    policy: Policy,
) -> Change:
    """Complete a pending job up to `queued`, or fail it at `credits`."""
    draft = Draft(job, now, policy)
    draft.change.submission = submission
    draft.job.submission_sha256 = submission_sha256
    if submission.media:
        stored = _stored_details(submission.media)
        draft.note("MEDIA_STORED", "the media is in our storage", stored, completes=Step.UPLOAD)
    for adjusted in submission.adjustments:
        sent = f"sent as {adjusted.sent}" if adjusted.sent else "not sent"
        text = f"{adjusted.field} {adjusted.given} is {sent}: {adjusted.why}"
        draft.note("PARAMETER_ADJUSTED", text, asdict(adjusted))
    insert = {"tool": job.tool, "variant": job.variant, "inputs": inputs}
    draft.step(Step.INSERT, JobStatus.PENDING, insert)
    charge = split_charge(job.cost, balances)
    available = sum(balances.values())
    new_balance = available - job.cost if charge is not None else available
    draft.step(Step.CREDITS, JobStatus.PENDING, {"cost": job.cost, "newBalance": new_balance})
    if charge is None:
        words = f"the job costs {job.cost} credits and the balance is {available}; add credits"
        draft.fail(Step.CREDITS, "no_credits", words)
        return draft.change
    draft.reserve(charge)
    draft.job.enqueue_seq = enqueue_seq
    draft.job.queued_at = now
    draft.job.deadline_at = draft.after(job.limits.queue_wait_s)
    check = {
        "slotsAvailable": queue.slots_available,
        "globalRunning": queue.global_running,
        "queueLength": queue.queue_length,
    }
    draft.step(Step.QUEUE_CHECK, JobStatus.PENDING, check)
    draft.step(Step.QUEUED, JobStatus.QUEUED, {"position": queue.queue_length + 1})
    return draft.change


def _stored_details(media: Sequence[MediaFile]) -> dict[str, Any]:
    """Return the detail keys of `upload`; several files stand side by side, and one by one."""
    details: dict[str, Any] = {
        "fileName": ", ".join(m.file_name for m in media),
        "bytes": sum(m.bytes for m in media),
        "sha256": ", ".join(m.sha256 for m in media),
    }
    if len(media) > 1:
        details["files"] = [
            {"name": m.name, "fileName": m.file_name, "bytes": m.bytes, "sha256": m.sha256}
            for m in media
        ]
    return details


def split_charge(cost: int, balances: Mapping[str, int]) -> dict[str, int] | None:
    """Return how much to take from which bucket, in spending order; None if there is too little."""
    charge: dict[str, int] = {}
    left = cost
    for bucket in BUCKETS:
        part = min(left, balances.get(bucket, 0))
        if part > 0:
            charge[bucket] = part
            left -= part
    return charge if left == 0 else None
