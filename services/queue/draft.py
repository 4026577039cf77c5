"""A job being changed: collects the new state and all that must be written with it.

The rules (`admission`, `start`, `outcome`, `ending`) speak in these verbs, so that no rule can
change a status without its step, or money without its entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from datetime import datetime, timedelta

from services.queue.command import Payload
from services.queue.domain import AccountEffect as Effect
from services.queue.domain import (
    Attempt,
    Change,
    Details,
    EventKind,
    Health,
    JobState,
    JobStatus,
    LedgerEntry,
    LedgerKind,
    NewEvent,
    Outcome,
    Phase,
    SavedOutput,
    Step,
)
from services.queue.policy import Policy
from services.runtime.ids import new_id


class Draft:
    """One transition in the making. `now` is when it happens; `policy` the time limits."""

    def __init__(self, job: JobState, now: datetime, policy: Policy) -> None:
        self.job = copy(job)
        self.job.current = copy(job.current)
        self.now = now
        self.policy = policy
        self.change = Change(before=job, after=self.job)

    @property
    def attempt(self) -> Attempt:
        """The current attempt, which must exist."""
        if self.job.current is None:
            raise AssertionError(f"job {self.job.id} has no attempt")
        return self.job.current

    def after(self, seconds: float) -> datetime:
        """Return the time so many seconds from now, scaled by the policy."""
        return self.now + timedelta(seconds=seconds * self.policy.time_scale)

    def step(
        self, step: Step, status: JobStatus, details: Details | None = None, **more: object
    ) -> None:
        """Reach a step and the status that goes with it."""
        self.job.status = status
        self.job.current_step = step
        body = {"step": step.value, "status": status.value, "details": details or {}, **more}
        self._event(EventKind.STEP, body)

    def note(
        self, code: str, text: str, details: Details | None = None, completes: Step | None = None
    ) -> None:
        """Put a line beside the current step; its details may complete those of an earlier one."""
        body = {"code": code, "text": text, "details": details or {}}
        self._event(EventKind.NOTE, {**body, "completes": completes.value if completes else ""})

    def payloads(self, payloads: Sequence[Payload], *, deciding: bool = False) -> None:
        """Keep raw bytes; `deciding` marks the last response as what settled the matter."""
        for position, payload in enumerate(payloads):
            is_last = position == len(payloads) - 1
            body = {
                **payload.info,
                "payload_id": str(payload.payload_id),
                "blob_sha256": payload.blob_sha256,
                "deciding": deciding and is_last,
            }
            self._event(EventKind.PAYLOAD, body, payload.content)

    def delivery(self, delivery_id: str, details: Details) -> None:
        """Say that a callback which the gateway stores belongs to this attempt."""
        self._event(EventKind.PAYLOAD, {"delivery_id": delivery_id, **details})

    def repeats(self) -> None:
        """Tell how often the last poll's answer came again, if it did."""
        attempt = self.attempt
        if attempt.poll_repeats and attempt.poll_payload_id is not None:
            body = {
                "payload_id": str(attempt.poll_payload_id),
                "count": attempt.poll_repeats,
                "last_at": self.now,
            }
            self._event(EventKind.REPEAT, body)
            attempt.poll_repeats = 0

    def attempt_event(self) -> None:
        """Tell what the attempt is like after this change."""
        attempt = self.attempt
        self.change.attempt_changed = True
        body = {
            "number": attempt.number,
            "account": attempt.account,
            "slot": attempt.slot,
            "phase": attempt.phase.value,
            "task_id": attempt.task_id,
            "outcome": attempt.outcome.value,
            "error_class": attempt.error_class,
            "coins": attempt.coins,
            "money": attempt.money,
            "task_cost_time": attempt.task_cost_time,
        }
        self._event(EventKind.ATTEMPT, body)

    def touch_attempt(self) -> None:
        """Write the attempt's row without telling anybody: polls, leases."""
        self.change.attempt_changed = True

    def end_attempt(self, outcome: Outcome, error_class: str = "") -> None:
        """End the attempt and free its slot."""
        attempt = self.attempt
        attempt.phase = Phase.ENDED
        attempt.outcome = outcome
        attempt.error_class = error_class
        attempt.ended_at = self.now
        attempt.lease_until = None
        attempt.next_poll_at = None
        self.repeats()
        self.free_slot()
        self.attempt_event()

    def free_slot(self) -> None:
        """Give the slot back, if the attempt holds one."""
        self.change.frees_slot = True

    def reserve(self, charge: dict[str, int]) -> None:
        """Set credits aside, by bucket."""
        self.job.charge = charge
        self._book(LedgerKind.RESERVE)

    def close(self, kind: LedgerKind) -> None:
        """Capture or refund what was reserved, bucket by bucket."""
        self._book(kind)

    def affect_account(self, health: Health, words: str = "", rest_s: float = 0) -> None:
        """Say what this taught about the account."""
        rest = rest_s * self.policy.time_scale
        self.change.account_effect = Effect(self.attempt.account, health, words, rest)

    def requeue(self, deadline: datetime, not_before: datetime | None = None) -> None:
        """Put the job back into its old place in the queue."""
        self.job.not_before = not_before
        self.job.deadline_at = deadline
        details = {"notBefore": not_before.isoformat()} if not_before else {}
        self.step(Step.QUEUED, JobStatus.QUEUED, details)

    def fail(
        self,
        at_step: Step,
        error_class: str,
        message: str,
        evidence: Payload | None = None,
        evidence_path: str = "",
    ) -> None:
        """End the job as failed and give the credits back.

        `evidence_path` is the JSON path of the proof within the payload `evidence`.
        """
        self.job.failed_at_step = at_step
        self.job.error_class = error_class
        self.job.error_message = message
        failure = {
            "at_step": at_step.value,
            "error_class": error_class,
            "message": message,
            "evidence_payload_id": str(evidence.payload_id) if evidence else "",
            "evidence_path": evidence_path if evidence else "",
        }
        details = {"error": message, "at_step": at_step.value, "class": error_class}
        self._end()
        self.close(LedgerKind.REFUND)
        self.step(Step.FAILED, JobStatus.FAILED, details, failure=failure)

    def cancel(self) -> None:
        """End the job as the user wanted and give the credits back."""
        self._end()
        self.close(LedgerKind.REFUND)
        self.step(Step.CANCELLED, JobStatus.CANCELLED)

    def complete(self, outputs: Sequence[SavedOutput]) -> None:
        """End the job with its outputs and take the credits."""
        self._end()
        self.change.outputs = outputs
        self.job.has_outputs = True
        self.close(LedgerKind.CAPTURE)
        details = {"outputUrl": outputs[0].url, "outputs": len(outputs)}
        self.step(Step.COMPLETED, JobStatus.COMPLETED, details, outputs=outputs)

    def attach(self, outputs: Sequence[SavedOutput]) -> None:
        """Deliver outputs that came after a final status, free of charge."""
        self.change.outputs = outputs
        self.job.has_outputs = True
        self._event(EventKind.OUTPUTS, {"outputs": outputs})

    def _end(self) -> None:
        self.job.completed_at = self.now
        self.job.deadline_at = None
        self.job.not_before = None

    def _book(self, kind: LedgerKind) -> None:
        for bucket, amount in (self.job.charge or {}).items():
            entry = LedgerEntry(
                entry_id=new_id(),
                user_id=self.job.user_id,
                kind=kind,
                bucket=bucket,
                amount=amount,
                created_at=self.now,
                job_id=self.job.id,
            )
            self.change.entries.append(entry)
            body = {
                "kind": kind.value,
                "amount": amount,
                "bucket": bucket,
                "entry_id": str(entry.entry_id),
            }
            self._event(EventKind.LEDGER, body)

    def _event(self, kind: EventKind, body: Details, content: bytes | None = None) -> None:
        self.job.seq += 1
        event = NewEvent(kind, self.now, self.job.attempt, body, content)
        self.change.events.append(event)
