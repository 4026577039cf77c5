"""The rules of an outcome: callbacks as hints, the provider's answers as facts, outputs saved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.queue.command import (
    Answer,
    GiveUpOutputs,
    MissAnswer,
    NoteStop,
    Payload,
    SaveOutputs,
    SeeCallback,
)
from services.queue.domain import (
    Attempt,
    Change,
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
from services.queue.result import results_to_json, unsaved_output
from services.queue.start import adopt_task, retry
from services.runninghub.report import TaskReport, TaskState
from services.runninghub.verdicts import Stage, failure_class, with_retry_overrides

_GOING_ON = (TaskState.WAITING, TaskState.RUNNING)
_MAX_MISS_WAIT_S = 60.0


def see_callback(job: JobState, command: SeeCallback, now: datetime, policy: Policy) -> Change:
    """Take a callback as a reason to ask the provider now; adopt the task id of a lost start."""
    draft = Draft(job, now, policy)
    details = {
        "attempt": command.attempt,
        "event": command.event,
        "task_id": command.task_id,
        "task_status": command.task_status,
        "received_at": command.received_at.isoformat(),
        "traceparent": command.traceparent,
    }
    draft.delivery(str(command.delivery_id), details)
    attempt = draft.job.current
    if attempt is None or attempt.number != command.attempt:
        draft.note("LATE_CALLBACK", f"a callback of attempt {command.attempt} came later")
        return draft.change
    attempt.callbacks += 1
    draft.touch_attempt()
    if command.is_repeat:
        draft.note("DUPLICATE_CALLBACK", "the provider sent the same callback again")
    if job.status.is_final:
        _see_late(draft, command)
    elif attempt.phase is Phase.SUBMITTING and command.task_id:
        _name_task(draft, command.task_id)
    elif attempt.phase is Phase.ACCEPTED:
        attempt.next_poll_at = now
    return draft.change


def _name_task(draft: Draft, task_id: str) -> None:
    """Take the task id of a start without a reply; keep it where a reply may still come."""
    if draft.attempt.is_unknown:
        adopt_task(draft, task_id)
    else:
        draft.attempt.task_id = task_id


def _see_late(draft: Draft, command: SeeCallback) -> None:
    attempt = draft.attempt
    draft.note("LATE_CALLBACK", f"a callback came after the job was {draft.job.status}")
    if attempt.outcome.is_verified or draft.job.has_outputs:
        return
    attempt.task_id = attempt.task_id or command.task_id
    if attempt.task_id:
        attempt.next_poll_at = draft.now


def answer(job: JobState, command: Answer, now: datetime, policy: Policy) -> Change:
    """Act on what the provider says of the task. Its word decides; the callback's does not."""
    draft = Draft(job, now, policy)
    draft.change.poll_done = True
    attempt = _current(draft, command.attempt)
    attempt.polls += 1
    attempt.poll_failures = 0
    draft.touch_attempt()
    state = command.report.state
    if job.status.is_final:
        _answer_late(draft, command)
    elif attempt.phase is not Phase.ACCEPTED:
        _keep(draft, command)
    elif state is TaskState.SUCCEEDED:
        _succeed(draft, command)
    elif state is TaskState.FAILED:
        _fail(draft, command)
    elif state is TaskState.CANCELLED or (state is TaskState.BLANK and attempt.stop_asked_at):
        _stopped(draft, command)
    elif state is TaskState.NOT_FOUND and _is_lost(draft):
        _settle(draft, command, Outcome.FAILED, has_output=False)
        evidence = _evidence(command.payloads)
        draft.fail(Step.RUNNING, "task_lost", command.verdict.words, evidence, "$.errorCode")
    else:
        _keep(draft, command)
        attempt.next_poll_at = next_ask(draft, is_odd=state not in _GOING_ON)
    return draft.change


def _succeed(draft: Draft, command: Answer) -> None:
    attempt, report, policy = draft.attempt, command.report, draft.policy
    if not report.outputs:
        _succeed_empty(draft, command)
        return
    _settle(draft, command, None, has_output=True)
    if not any(output.url for output in report.outputs):
        # Texts are in the answer itself: there is nothing to copy.
        draft.end_attempt(Outcome.SUCCEEDED)
        draft.complete([unsaved_output(output) for output in report.outputs])
        return
    attempt.phase = Phase.FINALISING
    attempt.results = results_to_json(report.outputs)
    attempt.lease_until = draft.after(policy.lease_s)
    attempt.next_poll_at = None
    draft.job.deadline_at = draft.after(draft.job.limits.finalise_s)
    draft.free_slot()
    draft.attempt_event()


def _succeed_empty(draft: Draft, command: Answer) -> None:
    attempt = draft.attempt
    attempt.empty_successes += 1
    if attempt.empty_successes < 2:
        _keep(draft, command)
        draft.note("EMPTY_SUCCESS", "SUCCESS without outputs; asked once more before believed")
        attempt.next_poll_at = draft.after(draft.policy.recheck_s)
        return
    _settle(draft, command, Outcome.FAILED, has_output=False, error_class="no_output")
    words = command.verdict.words or "the provider reports SUCCESS without any output"
    draft.fail(Step.RUNNING, "no_output", words, _evidence(command.payloads), "$.results")


def _fail(draft: Draft, command: Answer) -> None:
    attempt, verdict = draft.attempt, command.verdict
    if attempt.stop_asked_at:
        _stopped(draft, command)
        return
    failure = with_retry_overrides(verdict.failure, draft.policy.retry_overrides)
    wants_end = draft.job.cancel_requested_at is not None
    _verified_step(draft, command, has_output=False)
    if not wants_end and retry(draft, failure, Outcome.FAILED, verdict.words):
        return
    draft.end_attempt(Outcome.FAILED, verdict.error_class)
    if wants_end:
        draft.cancel()
    else:
        draft.fail(
            Step(verdict.failed_at_step),
            verdict.error_class,
            verdict.words,
            _evidence(command.payloads),
            _path_of(command.report),
        )


def _stopped(draft: Draft, command: Answer) -> None:
    """End a job whose task the provider has stopped: as the user or the deadline wanted."""
    attempt = draft.attempt
    for_cancel = attempt.stop_for == "cancel" or draft.job.cancel_requested_at is not None
    error_class = "" if for_cancel else "timeout" if attempt.stop_for else "cancelled_at_provider"
    _settle(draft, command, Outcome.CANCELLED, has_output=False, error_class=error_class)
    if for_cancel:
        draft.cancel()
        return
    limit_s = draft.policy.scaled(draft.job.limits.run_s)
    words = command.verdict.words
    if error_class == "timeout":
        words = words or f"no result within {limit_s:g} s; the provider was asked and stopped it"
    draft.fail(
        Step.RUNNING,
        error_class,
        words or "the task was cancelled at the provider, not by us",
        _evidence(command.payloads),
        "$.status",
    )


def _settle(
    draft: Draft,
    command: Answer,
    outcome: Outcome | None,
    *,
    has_output: bool,
    error_class: str = "",
) -> None:
    """Record a verified outcome: the step, the deciding reply, the cost, the attempt's end."""
    _verified_step(draft, command, has_output=has_output)
    if outcome is not None:
        draft.end_attempt(outcome, error_class or command.verdict.error_class)


def _verified_step(draft: Draft, command: Answer, *, has_output: bool) -> None:
    draft.repeats()
    draft.payloads(command.payloads, deciding=True)
    _take_usage(draft.attempt, command.report)
    if not command.by_callback:
        draft.note("FOUND_BY_POLL", "the result was found by asking, not by a callback")
    details = {
        "event": "TASK_END" if command.by_callback else "POLL",
        "taskStatus": command.report.status,
        "hasOutput": has_output,
    }
    draft.step(Step.WEBHOOK_RECEIVED, JobStatus.RUNNING, details)


def _answer_late(draft: Draft, command: Answer) -> None:
    """Take what is learned after a final status: outputs are delivered, the status stays."""
    attempt, report = draft.attempt, command.report
    draft.payloads(command.payloads)
    attempt.next_poll_at = None
    if report.state in _GOING_ON:
        attempt.next_poll_at = draft.after(draft.policy.poll_slow_s)
    elif report.state is TaskState.SUCCEEDED and report.outputs and not draft.job.has_outputs:
        draft.note("LATE_SUCCESS", "a success came after the final status; its outputs are kept")
        _take_usage(attempt, report)
        attempt.results = results_to_json(report.outputs)
        attempt.lease_until = draft.after(draft.policy.lease_s)
    draft.attempt_event()


def _keep(draft: Draft, command: Answer) -> None:
    """Store an answer that decides nothing; count it where it equals its predecessor."""
    attempt = draft.attempt
    if command.answer_sha256 and command.answer_sha256 == attempt.poll_sha256:
        attempt.poll_repeats += 1
        return
    draft.repeats()
    draft.payloads(command.payloads)
    attempt.poll_sha256 = command.answer_sha256
    attempt.poll_payload_id = command.payloads[-1].payload_id if command.payloads else None


def _is_lost(draft: Draft) -> bool:
    """Whether "no such task" is more than a task that has not propagated yet."""
    accepted_at = draft.attempt.accepted_at or draft.now
    age_s = (draft.now - accepted_at).total_seconds()
    return age_s > draft.policy.scaled(draft.policy.propagation_s) and draft.attempt.polls > 2


def miss_answer(job: JobState, command: MissAnswer, now: datetime, policy: Policy) -> Change:
    """Ask again later. A failed query says nothing about the job."""
    draft = Draft(job, now, policy)
    draft.change.poll_done = True
    attempt = _current(draft, command.attempt)
    draft.payloads(command.payloads)
    attempt.poll_failures += 1
    wait_s = min(policy.poll_fast_s * 2 ** min(attempt.poll_failures, 8), _MAX_MISS_WAIT_S)
    attempt.next_poll_at = draft.after(wait_s)
    if attempt.poll_failures == 1:
        draft.note("QUERY_FAILED", f"the provider did not answer: {command.words}")
    draft.touch_attempt()
    return draft.change


def note_stop(job: JobState, command: NoteStop, now: datetime, policy: Policy) -> Change:
    """Note that the provider was asked to stop the task."""
    draft = Draft(job, now, policy)
    attempt = _current(draft, command.attempt)
    draft.payloads(command.payloads)
    attempt.stop_asked_at = attempt.stop_asked_at or now
    attempt.next_poll_at = now
    why = "the user cancelled" if attempt.stop_for == "cancel" else "the time limit passed"
    draft.note("STOP_ASKED", f"the provider was asked to stop the task: {why}")
    draft.touch_attempt()
    return draft.change


def save_outputs(job: JobState, command: SaveOutputs, now: datetime, policy: Policy) -> Change:
    """Complete the job; after a final status, deliver the outputs free of charge."""
    draft = Draft(job, now, policy)
    attempt = _current(draft, command.attempt)
    draft.payloads(command.payloads)
    attempt.results = None
    attempt.lease_until = None
    if job.status.is_final:
        if job.has_outputs:
            raise StaleAttemptError(job.id, command.attempt, "its outputs are there already")
        draft.attach(command.outputs)
        draft.touch_attempt()
        return draft.change
    _expect_finalising(draft)
    draft.end_attempt(Outcome.SUCCEEDED)
    draft.complete(command.outputs)
    return draft.change


def give_up_outputs(job: JobState, command: GiveUpOutputs, now: datetime, policy: Policy) -> Change:
    """Fail a job whose verified result could not be saved; the provider's URLs stay as evidence."""
    draft = Draft(job, now, policy)
    attempt = _current(draft, command.attempt)
    draft.payloads(command.payloads)
    attempt.results = None
    attempt.lease_until = None
    if job.status.is_final:
        draft.note("LATE_OUTPUTS_LOST", command.message)
        draft.touch_attempt()
        return draft.change
    _expect_finalising(draft)
    draft.end_attempt(Outcome.SUCCEEDED)
    urls = [output.provider_url for output in command.outputs]
    draft.note("OUTPUTS_LOST", command.message, {"providerUrls": urls})
    step = failure_class(command.error_class).stage
    at_step = step.step if step is Stage.FINALISE else Stage.FINALISE.step
    draft.fail(Step(at_step), command.error_class, command.message)
    return draft.change


def _expect_finalising(draft: Draft) -> None:
    if draft.attempt.phase is not Phase.FINALISING:
        raise StaleAttemptError(draft.job.id, draft.attempt.number, f"it is {draft.attempt.phase}")


def _current(draft: Draft, number: int) -> Attempt:
    attempt = draft.job.current
    if attempt is None or attempt.number != number:
        raise StaleAttemptError(draft.job.id, number, f"the job is at attempt {draft.job.attempt}")
    return attempt


def _take_usage(attempt: Attempt, report: TaskReport) -> None:
    usage = report.usage
    attempt.coins = usage.consume_coins or attempt.coins
    attempt.money = usage.consume_money or attempt.money
    attempt.task_cost_time = usage.task_cost_time or attempt.task_cost_time


def _path_of(report: TaskReport) -> str:
    """Return where in a v2 query's answer the words that classified it stand."""
    if report.reason is not None and report.reason.exception_message:
        return "$.failedReason.exception_message"
    return "$.errorMessage" if report.message else "$.errorCode"


def _evidence(payloads: Sequence[Payload]) -> Payload | None:
    return payloads[-1] if payloads else None
