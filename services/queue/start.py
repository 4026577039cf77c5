"""The rules of a start: claim, submit, and what the provider's reply to it means."""

from __future__ import annotations

from datetime import datetime

from services.queue.command import Accept, BeginStart, LoseReply, Payload, Refuse, Release
from services.queue.domain import (
    Attempt,
    Change,
    Health,
    JobState,
    JobStatus,
    Outcome,
    Phase,
    StaleAttemptError,
    Step,
)
from services.queue.draft import Draft
from services.queue.policy import Policy
from services.queue.poll_schedule import next_ask
from services.runninghub.verdicts import (
    AccountEffect,
    FailureClass,
    Stage,
    Verdict,
    with_retry_overrides,
)

_HEALTH = {
    AccountEffect.FULL: Health.FULL,
    AccountEffect.UNAUTHORIZED: Health.UNAUTHORIZED,
    AccountEffect.NO_MONEY: Health.NO_MONEY,
}
_NOTES = {
    Health.FULL: ("ACCOUNT_FULL", "the account is full; the job keeps its place"),
    Health.UNREACHABLE: ("PROVIDER_UNREACHABLE", "the call never left; the job keeps its place"),
    Health.UNAUTHORIZED: ("ACCOUNT_UNAUTHORIZED", "the provider refused the account's key"),
    Health.NO_MONEY: ("ACCOUNT_NO_MONEY", "the account has no money left"),
}


def claim(
    job: JobState,
    account: str,
    slot: int,
    token_sha256: bytes,
    webapp_id: str,
    now: datetime,
    policy: Policy,
) -> Change:
    """Give a queued job a slot. A waiting attempt goes on; otherwise a new one begins."""
    draft = Draft(job, now, policy)
    waiting = job.current if job.current and job.current.phase is Phase.WAITING else None
    if waiting is None:
        draft.job.attempt += 1
        draft.job.current = Attempt(
            draft.job.attempt, account, slot, Phase.CLAIMED, token_sha256, now
        )
    attempt = draft.attempt
    attempt.account, attempt.slot, attempt.token_sha256 = account, slot, token_sha256
    attempt.phase = Phase.CLAIMED
    attempt.error_class = ""
    attempt.lease_until = draft.after(policy.lease_s)
    draft.job.started_at = job.started_at or now
    draft.job.not_before = None
    draft.job.deadline_at = draft.after(job.limits.start_s)
    details = {"webappId": webapp_id, "accountName": account, "attempt": attempt.number}
    draft.change.takes_slot = True
    draft.step(Step.STARTING, JobStatus.STARTING, details)
    draft.attempt_event()
    return draft.change


def begin_start(job: JobState, command: BeginStart, now: datetime, policy: Policy) -> Change:
    """Commit that the start call is about to be sent. A cancelled job goes no further."""
    draft = Draft(job, now, policy)
    attempt = _held(draft, command.attempt, Phase.CLAIMED, command.token_sha256)
    draft.payloads(command.payloads)
    attempt.phase = Phase.SUBMITTING
    attempt.submitted_at = now
    attempt.traceparent = command.traceparent
    attempt.callback_asked = policy.callbacks_expected
    attempt.lease_until = draft.after(policy.start_call_s * 2)
    draft.job.deadline_at = draft.after(job.limits.run_s)
    draft.attempt_event()
    return draft.change


def accept(job: JobState, command: Accept, now: datetime, policy: Policy) -> Change:
    """Take the provider's task id. Also settles a start that was thought unknown."""
    draft = Draft(job, now, policy)
    attempt = _held(draft, command.attempt, Phase.SUBMITTING)
    draft.payloads(command.payloads)
    take_task_id(draft, command.task_id)
    draft.affect_account(Health.OK)
    if attempt.callbacks or job.cancel_requested_at:
        attempt.next_poll_at = now
    return draft.change


def take_task_id(draft: Draft, task_id: str) -> None:
    """Move a submitting attempt to accepted and its job to running."""
    attempt = draft.attempt
    attempt.task_id = task_id
    attempt.phase = Phase.ACCEPTED
    attempt.is_unknown = False
    attempt.accepted_at = draft.now
    attempt.lease_until = None
    attempt.next_poll_at = next_ask(draft)
    if draft.job.cancel_requested_at:
        attempt.stop_for = "cancel"
    draft.job.deadline_at = draft.after(draft.job.limits.run_s)
    draft.step(Step.RUNNING, JobStatus.RUNNING, {"taskId": task_id})
    draft.attempt_event()


def refuse(job: JobState, command: Refuse, now: datetime, policy: Policy) -> Change:
    """Decide what follows when nothing was started: wait, try anew, or fail."""
    draft = Draft(job, now, policy)
    _held(draft, command.attempt, None, command.token_sha256)
    draft.payloads(command.payloads, deciding=True)
    settle_refusal(draft, command.verdict, command.payloads[-1] if command.payloads else None)
    return draft.change


def settle_refusal(draft: Draft, verdict: Verdict, evidence: Payload | None) -> None:
    """Apply a definite "not started" to a starting job."""
    failure = with_retry_overrides(verdict.failure, draft.policy.retry_overrides)
    health = _HEALTH.get(failure.account_effect)
    if failure.name == "provider_unreachable":
        health = Health.UNREACHABLE
    if health is not None:
        draft.affect_account(health, verdict.words, failure.auto.delay_s(0))
    if draft.job.cancel_requested_at:
        draft.end_attempt(Outcome.REFUSED, verdict.error_class)
        draft.cancel()
    elif health is not None:
        _wait_for_account(draft, verdict, health)
    elif not retry(draft, failure, Outcome.REFUSED, verdict.words):
        draft.end_attempt(Outcome.REFUSED, verdict.error_class)
        path = "$.errorMessage" if verdict.stage is Stage.START else "$.message"
        draft.fail(Step(verdict.failed_at_step), verdict.error_class, verdict.words, evidence, path)


def retry(draft: Draft, failure: FailureClass, outcome: Outcome, words: str) -> bool:
    """Schedule an automatic new attempt where the class allows one more; say whether it did."""
    if draft.job.retries >= failure.auto.max_retries or not failure.counts_as_attempt:
        return False
    delay_s = failure.auto.delay_s(draft.job.retries)
    draft.job.retries += 1
    draft.job.instance_type = failure.auto.instance_type or draft.job.instance_type
    draft.end_attempt(outcome, failure.name)
    text = f"{failure.name}: new attempt in {draft.policy.scaled(delay_s):g} s"
    draft.note("RETRY_SCHEDULED", text, {"class": failure.name, "words": words})
    draft.requeue(draft.after(draft.job.limits.queue_wait_s), draft.after(delay_s))
    return True


def release(job: JobState, command: Release, now: datetime, policy: Policy) -> Change:
    """Put a job back into its place because we could not go on; nothing was sent."""
    draft = Draft(job, now, policy)
    _held(draft, command.attempt, None, command.token_sha256)
    draft.payloads(command.payloads)
    if job.cancel_requested_at:
        draft.end_attempt(Outcome.CANCELLED)
        draft.cancel()
        return draft.change
    draft.end_attempt(Outcome.ABANDONED)
    draft.note("CLAIM_RELEASED", command.words)
    draft.requeue(draft.after(job.limits.queue_wait_s))
    return draft.change


def lose_reply(job: JobState, command: LoseReply, now: datetime, policy: Policy) -> Change:
    """Hold on to a start that may have arrived: never sent again, slot kept, callback awaited."""
    draft = Draft(job, now, policy)
    _held(draft, command.attempt, Phase.SUBMITTING, command.token_sha256)
    # An error page that told nothing is what decided, until a later answer does.
    came = bool(command.payloads and command.payloads[-1].info.get("http_status"))
    draft.payloads(command.payloads, deciding=came)
    mark_unknown(draft, f"the start call got {command.words}; it is not sent again")
    return draft.change


def mark_unknown(draft: Draft, text: str) -> None:
    """Mark a submitting attempt as one whose fate only its callback can tell, or has told."""
    attempt = draft.attempt
    attempt.is_unknown = True
    attempt.lease_until = None
    draft.note("SUBMIT_UNKNOWN", text)
    draft.attempt_event()
    if attempt.task_id:
        adopt_task(draft, attempt.task_id)


def adopt_task(draft: Draft, task_id: str) -> None:
    """Go on with the task that a callback names for a start without a reply."""
    draft.note("TASK_ADOPTED", "the callback names the task of a start without a reply")
    take_task_id(draft, task_id)
    draft.attempt.next_poll_at = draft.now


def _wait_for_account(draft: Draft, verdict: Verdict, health: Health) -> None:
    attempt = draft.attempt
    attempt.phase = Phase.WAITING
    attempt.error_class = verdict.error_class
    attempt.lease_until = None
    attempt.is_unknown = False
    attempt.task_id = ""
    draft.free_slot()
    code, text = _NOTES[health]
    draft.note(code, text, {"accountName": attempt.account, "words": verdict.words})
    draft.attempt_event()
    queued_at = draft.job.queued_at or draft.now
    waited_s = (draft.now - queued_at).total_seconds()
    left_s = draft.job.limits.queue_wait_s - waited_s / max(draft.policy.time_scale, 1e-9)
    draft.requeue(draft.after(max(left_s, 0)))


def _held(
    draft: Draft, number: int, phase: Phase | None, token_sha256: bytes | None = None
) -> Attempt:
    """Return the attempt if it still is the caller's; raise `StaleAttemptError` if not."""
    job, attempt = draft.job, draft.job.current
    if attempt is None or attempt.number != number:
        raise StaleAttemptError(job.id, number, f"the job is at attempt {job.attempt}")
    expected = (Phase.CLAIMED, Phase.SUBMITTING) if phase is None else (phase,)
    if attempt.phase not in expected:
        raise StaleAttemptError(job.id, number, f"it is {attempt.phase}")
    if token_sha256 is not None and attempt.token_sha256 != token_sha256:
        raise StaleAttemptError(job.id, number, "it was claimed anew")
    return attempt
