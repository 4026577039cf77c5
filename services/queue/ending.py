"""The rules of an end that nobody reported: cancels, deadlines, and workers that fell silent."""

from __future__ import annotations

from datetime import datetime

from services.queue.command import AskCancel, CheckDeadline, ExpireLease, RejectMedia
from services.queue.domain import (
    Change,
    Details,
    JobAlreadyFinalError,
    JobNotPendingError,
    JobState,
    JobStatus,
    Outcome,
    Phase,
    StaleAttemptError,
    Step,
)
from services.queue.draft import Draft
from services.queue.policy import Policy
from services.queue.start import mark_unknown

# Why a job that was refused once failed in the end; a merely full account is a long queue.
_WAITED_FOR = {
    "provider_unreachable": "the provider could not be reached for {limit_s:g} s; "
    "nothing was started",
    "account_unauthorized": "the provider refused the key of account {account!r}, and no other "
    "account took the job within {limit_s:g} s; set the account's key",
    "account_no_money": "account {account!r} has no money left at the provider, and no other "
    "account took the job within {limit_s:g} s; top it up and reset its health",
}


def reject_media(job: JobState, command: RejectMedia, now: datetime, policy: Policy) -> Change:
    """Fail a pending job at `upload`."""
    if job.status.is_final:
        raise JobAlreadyFinalError(job.id, job.status)
    if job.status is not JobStatus.PENDING:
        raise JobNotPendingError(job.id, job.status)
    draft = Draft(job, now, policy)
    details: Details = dict(command.details)
    draft.note("MEDIA_REJECTED", command.message, details)
    draft.fail(Step.UPLOAD, command.error_class, command.message)
    return draft.change


def ask_cancel(job: JobState, command: AskCancel, now: datetime, policy: Policy) -> Change:
    """Cancel at once while nothing was sent; else note the wish and let the provider decide."""
    if job.status.is_final:
        raise JobAlreadyFinalError(job.id, job.status)
    draft = Draft(job, now, policy)
    if job.cancel_requested_at is not None:
        return draft.change
    draft.job.cancel_requested_at = now
    details = {"reason": command.reason} if command.reason else {}
    draft.note("CANCEL_REQUESTED", "the user asked to cancel the job", details)
    attempt = draft.job.current
    phase = attempt.phase if attempt else None
    if job.status in (JobStatus.PENDING, JobStatus.QUEUED) or phase is Phase.CLAIMED:
        if phase in (Phase.CLAIMED, Phase.WAITING):
            draft.end_attempt(Outcome.CANCELLED)
        draft.cancel()
    elif attempt is not None and phase is Phase.ACCEPTED:
        attempt.stop_for = "cancel"
        attempt.next_poll_at = now
        draft.touch_attempt()
    return draft.change


def check_deadline(job: JobState, _command: CheckDeadline, now: datetime, policy: Policy) -> Change:
    """Decide what a passed deadline means; while the provider may still run it, ask first."""
    draft = Draft(job, now, policy)
    if job.deadline_at is None or job.deadline_at > now:
        return draft.change
    if job.status is JobStatus.PENDING:
        limit_s = policy.scaled(job.limits.upload_s)
        draft.fail(Step.UPLOAD, "upload_timeout", f"the media did not arrive within {limit_s:g} s")
    elif job.status is JobStatus.QUEUED:
        _leave_queue(draft)
    elif draft.attempt.phase is Phase.CLAIMED:
        draft.end_attempt(Outcome.ABANDONED, "start_timeout")
        limit_s = policy.scaled(job.limits.start_s)
        words = f"the provider could not be called within {limit_s:g} s; nothing was started"
        draft.fail(Step.STARTING, "start_timeout", words)
    elif draft.attempt.phase is Phase.SUBMITTING:
        _give_up_unknown(draft)
    elif draft.attempt.phase is Phase.ACCEPTED:
        _ask_before_timeout(draft)
    else:
        draft.end_attempt(Outcome.SUCCEEDED)
        limit_s = policy.scaled(job.limits.finalise_s)
        words = f"the outputs could not be saved within {limit_s:g} s"
        draft.fail(Step.WEBHOOK_RECEIVED, "output_unsavable", words)
    return draft.change


def _leave_queue(draft: Draft) -> None:
    """Fail a job whose wait is over: at `starting` where the provider was the reason."""
    attempt = draft.job.current
    limit_s = draft.policy.scaled(draft.job.limits.queue_wait_s)
    waiting = attempt if attempt and attempt.phase is Phase.WAITING else None
    if waiting is not None:
        reason = waiting.error_class
        draft.end_attempt(Outcome.REFUSED, reason)
        words = _WAITED_FOR.get(reason, "")
        if words:
            words = words.format(account=waiting.account, limit_s=limit_s)
            draft.fail(Step.STARTING, reason, words)
            return
    draft.fail(Step.QUEUED, "queue_timeout", f"no slot became free within {limit_s:g} s")


def _give_up_unknown(draft: Draft) -> None:
    draft.end_attempt(Outcome.UNKNOWN, "submit_unknown")
    if draft.job.cancel_requested_at:
        draft.note("START_STAYS_UNKNOWN", "nobody knows whether the provider ever started it")
        draft.cancel()
        return
    words = (
        "the start call got no reply that tells whether it started, and no callback came before "
        "the run deadline"
    )
    draft.fail(Step.STARTING, "submit_unknown", words)


def _ask_before_timeout(draft: Draft) -> None:
    attempt = draft.attempt
    if not attempt.stop_for:
        attempt.stop_for = "timeout"
        attempt.next_poll_at = draft.now
        draft.job.deadline_at = draft.after(draft.policy.unreachable_s)
        draft.note("DEADLINE_PASSED", "the time limit passed; the provider is asked before judging")
        draft.touch_attempt()
        return
    if attempt.stop_for == "cancel" and not attempt.poll_failures:
        attempt.next_poll_at = draft.now
        draft.job.deadline_at = draft.after(draft.policy.unreachable_s)
        draft.touch_attempt()
        return
    silent_s = draft.policy.scaled(draft.policy.unreachable_s)
    if attempt.poll_failures:
        draft.end_attempt(Outcome.UNKNOWN, "provider_unreachable")
        words = f"the provider has not answered for {silent_s:g} s after the time limit"
        draft.fail(Step.RUNNING, "provider_unreachable", words)
    else:
        draft.end_attempt(Outcome.UNKNOWN, "timeout")
        words = f"the provider still reports it running {silent_s:g} s after it was told to stop"
        draft.fail(Step.RUNNING, "timeout", words)


def expire_lease(job: JobState, command: ExpireLease, now: datetime, policy: Policy) -> Change:
    """Take over from a worker that fell silent. What may have been sent is not sent again."""
    draft = Draft(job, now, policy)
    attempt = draft.job.current
    if attempt is None or attempt.number != command.attempt:
        raise StaleAttemptError(job.id, command.attempt, f"the job is at attempt {job.attempt}")
    if attempt.lease_until is None or attempt.lease_until > now:
        raise StaleAttemptError(job.id, command.attempt, "its lease was renewed")
    if attempt.phase is Phase.CLAIMED:
        draft.end_attempt(Outcome.ABANDONED)
        draft.note("CLAIM_EXPIRED", "the worker fell silent before anything was sent")
        draft.requeue(draft.after(job.limits.queue_wait_s))
    elif attempt.phase is Phase.SUBMITTING:
        mark_unknown(draft, "the worker fell silent during the start call; it is not sent again")
    else:
        raise StaleAttemptError(job.id, command.attempt, f"it is {attempt.phase}")
    return draft.change
