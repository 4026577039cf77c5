"""Completes jobs under the gate: each sees the places and balances that those before it left."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import msgspec

from services.queue.admission import submit
from services.queue.domain import (
    MAX_EXACT_POSITION,
    Change,
    JobNotFoundError,
    JobState,
    JobStatus,
    RequestIdReusedError,
    Submission,
)
from services.queue.policy import Policy
from services.queue.rows import submission_to_json
from services.queue.store_intake import EntranceFacts


@dataclass(frozen=True, slots=True)
class Completion:
    """What completes a job, and the digest by which a repeat of it is known."""

    job_id: UUID
    submission: Submission
    sha256: bytes

    @classmethod
    def of(cls, job_id: UUID, submission: Submission) -> Completion:
        """Digest a submission."""
        digest = hashlib.sha256(submission_to_json(submission).encode()).digest()
        return cls(job_id, submission, digest)


class Counter:
    """One batch of completions. The gate and the users are locked."""

    def __init__(
        self,
        met: EntranceFacts,
        enqueue_seq: int,
        now: datetime,
        policy: Policy,
    ) -> None:
        self.changes: list[Change] = []
        # The places in the queue of those who joined it, 1 to MAX_EXACT_POSITION + 1.
        self.places: dict[UUID, int] = {}
        self.enqueue_seq = enqueue_seq
        # What the first of them met.
        self.met = met
        self._balances = met.balances
        self._queue = met.queue
        self._now = now
        self._policy = policy

    def complete(
        self, job: JobState | None, completion: Completion, inputs: Mapping[UUID, str]
    ) -> Exception | None:
        """Complete a pending job; return why not. The same content again changes nothing."""
        if job is None:
            return JobNotFoundError(str(completion.job_id))
        if job.status is not JobStatus.PENDING:
            if job.submission_sha256 not in (None, completion.sha256):
                return RequestIdReusedError(str(job.id), "media or nodes")
            return None
        change = submit(
            job,
            completion.submission,
            completion.sha256,
            msgspec.Raw(inputs[job.id].encode()),
            self._balances.get(job.user_id, {}),
            self._queue,
            self.enqueue_seq + 1,
            self._now,
            self._policy,
        )
        self._book(change)
        return None

    def _book(self, change: Change) -> None:
        self.changes.append(change)
        job = change.after
        if job.status is not JobStatus.QUEUED:
            return
        self.enqueue_seq += 1
        length = min(self._queue.queue_length + 1, MAX_EXACT_POSITION + 1)
        self.places[job.id] = length
        self._queue = replace(self._queue, queue_length=length)
        for bucket, amount in (job.charge or {}).items():
            self._balances[job.user_id][bucket] -= amount
