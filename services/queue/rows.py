"""Turns database rows into domain values, and changes into the rows of `write_changes.sql`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
from asyncpg import Record

from services.queue.admission import NewJob
from services.queue.domain import (
    BOOKS,
    AccountEffect,
    Attempt,
    Change,
    JobState,
    JobStatus,
    LedgerEntry,
    Outcome,
    Phase,
    Step,
    Submission,
    TimeLimits,
)
from services.runtime.text import without_nul

# What asyncpg takes for an array of rows: tuples in the order of the row's type.
Rows: TypeAlias = list[tuple[Any, ...]]
_SHARED = ("id", "tool", "variant", "user_id", "cost", "traceparent", "created_at", "seq")
_PLAIN = (
    "error_class",
    "error_message",
    "attempt",
    "retries",
    "enqueue_seq",
    "not_before",
    "deadline_at",
    "cancel_requested_at",
    "queued_at",
    "started_at",
    "completed_at",
    "submission_sha256",
    "instance_type",
    "typical_run_s",
    "has_outputs",
)
_ATTEMPT_PLAIN = (
    "number",
    "account",
    "slot",
    "token_sha256",
    "claimed_at",
    "task_id",
    "is_unknown",
    "lease_until",
    "next_poll_at",
    "polls",
    "poll_failures",
    "poll_sha256",
    "poll_payload_id",
    "poll_repeats",
    "callbacks",
    "empty_successes",
    "stop_asked_at",
    "stop_for",
    "submitted_at",
    "accepted_at",
    "ended_at",
    "results",
    "coins",
    "money",
    "task_cost_time",
    "callback_asked",
)


def job_from_row(row: Record) -> JobState:
    """Build a job with its current attempt from a row of `read_jobs.sql`."""
    at_step = row["failed_at_step"]
    charge = row["charge"]
    return JobState(
        **{name: row[name] for name in _SHARED},
        **{name: row[name] for name in _PLAIN},
        limits=limits_from_row(row),
        status=JobStatus(row["status"]),
        current_step=Step(row["current_step"]),
        failed_at_step=Step(at_step) if at_step else None,
        charge=msgspec.json.decode(charge, type=dict[str, int]) if charge is not None else None,
        current=attempt_from_row(row) if row["number"] is not None else None,
    )


def limits_from_row(row: Record) -> TimeLimits:
    """Build the time limits of a tool."""
    return TimeLimits(
        row["upload_s"], row["queue_wait_s"], row["start_s"], row["run_s"], row["finalise_s"]
    )


def attempt_from_row(row: Record) -> Attempt:
    """Build the current attempt from a row of `read_jobs.sql`."""
    return Attempt(
        **{name: row[name] for name in _ATTEMPT_PLAIN},
        phase=Phase(row["phase"]),
        outcome=Outcome(row["outcome"]),
        error_class=row["attempt_error_class"],
        traceparent=row["attempt_traceparent"],
    )


def change_rows(changes: Sequence[Change], created: Sequence[Change]) -> list[Rows]:
    """Return the rows that `write_changes.sql` takes, but for the packs.

    `created` are jobs inserted just before, as they are after their changes. At most one change a
    job.
    """
    every = [*changes, *created]
    entries = [entry for c in every for entry in c.entries]
    return [
        [_job_row(c) for c in changes],
        [_attempt_row(c) for c in every if c.attempt_changed],
        [_slot_row(c.after) for c in every if c.takes_slot],
        [_slot_row(c.before) for c in every if c.frees_slot and c.before.attempt],
        [_entry_row(entry) for entry in entries],
        [(*key, *move) for key, move in balance_moves(entries).items()],
        _user_rows(changes, created),
        _effect_rows(c.account_effect for c in every if c.account_effect),
        [_submission_row(c.after.id, c.submission) for c in every if c.submission],
    ]


def new_job_row(new: NewJob, job: JobState) -> tuple[Any, ...]:
    """Return the row that `insert_jobs.sql` takes: what was asked for, and how far it got."""
    return (
        job.id,
        new.caller,
        new.request_id,
        job.user_id,
        job.tool,
        job.variant,
        new.params_sha256,
        new.input_json,
        job.cost,
        new.retry_of,
        job.traceparent,
        job.created_at,
        job.status,
        job.current_step,
        job.failed_at_step,
        job.error_class,
        without_nul(job.error_message),
        job.attempt,
        job.current.phase if job.current else None,
        job.enqueue_seq,
        job.deadline_at,
        job.queued_at,
        job.started_at,
        job.completed_at,
        job.seq,
        _json(job.charge) if job.charge is not None else None,
        job.submission_sha256,
    )


def submission_to_json(submission: Submission) -> str:
    """Write a submission for the job's row."""
    return msgspec.json.encode(submission).decode()


def submission_from_json(text: str) -> Submission:
    """Read what `submission_to_json` wrote."""
    return msgspec.json.decode(text, type=Submission)


def balance_moves(entries: Iterable[LedgerEntry]) -> dict[tuple[str, str], tuple[int, int]]:
    """Sum entries to what they do to (available, reserved), by (user, bucket)."""
    moves: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for entry in entries:
        key = (entry.user_id, entry.bucket)
        debit, credit = BOOKS[entry.kind]
        available, reserved = moves[key]
        available += entry.amount * ((credit == "available") - (debit == "available"))
        reserved += entry.amount * ((credit == "reserved") - (debit == "reserved"))
        moves[key] = (available, reserved)
    return dict(moves)


def _job_row(change: Change) -> tuple[Any, ...]:
    before, job = change.before, change.after
    outputs = change.outputs
    return (
        job.id,
        before.status,
        before.attempt,
        job.status,
        job.current_step,
        job.failed_at_step,
        job.error_class,
        without_nul(job.error_message),
        job.attempt,
        job.current.phase if job.current else None,
        job.retries,
        job.enqueue_seq,
        job.not_before,
        job.deadline_at,
        job.cancel_requested_at,
        job.queued_at,
        job.started_at,
        job.completed_at,
        job.seq,
        _json(job.charge) if job.charge is not None else None,
        job.submission_sha256,
        _json(outputs) if outputs is not None else None,
        job.instance_type,
    )


def _submission_row(job_id: UUID, submission: Submission) -> tuple[Any, ...]:
    return job_id, submission.webapp_id, submission_to_json(submission)


def _attempt_row(change: Change) -> tuple[Any, ...]:
    a = change.after.current
    if a is None:
        raise AssertionError("an attempt changed that does not exist")
    return (
        change.after.id,
        a.number,
        a.account,
        a.slot,
        a.phase,
        a.token_sha256,
        a.task_id,
        a.outcome,
        a.error_class,
        a.is_unknown,
        a.lease_until,
        a.next_poll_at,
        a.polls,
        a.poll_failures,
        a.poll_sha256,
        a.poll_payload_id,
        a.poll_repeats,
        a.callbacks,
        a.empty_successes,
        a.stop_asked_at,
        a.stop_for,
        a.traceparent,
        a.claimed_at,
        a.submitted_at,
        a.accepted_at,
        a.ended_at,
        a.results,
        a.coins,
        a.money,
        a.task_cost_time,
        a.callback_asked,
        change.poll_done,
        change.takes_poll,
    )


def _slot_row(job: JobState) -> tuple[Any, ...]:
    if job.current is None:
        raise AssertionError("a slot is taken or freed without an attempt")
    return job.current.account, job.current.slot, job.id, job.attempt


def _entry_row(entry: LedgerEntry) -> tuple[Any, ...]:
    debit, credit = BOOKS[entry.kind]
    return (
        entry.entry_id,
        entry.user_id,
        entry.job_id,
        entry.request_id,
        entry.kind,
        entry.bucket,
        entry.amount,
        debit,
        credit,
        entry.created_at,
    )


def _user_rows(changes: Sequence[Change], created: Sequence[Change]) -> Rows:
    moves: dict[str, int] = defaultdict(int)
    for change in created:
        moves[change.after.user_id] += 1
    for change in [*changes, *created]:
        if change.ends_job:
            moves[change.after.user_id] -= 1
    return [(user_id, move) for user_id, move in moves.items() if move]


def _effect_rows(effects: Iterable[AccountEffect]) -> Rows:
    last: dict[str, AccountEffect] = {}
    for effect in effects:
        known = last.get(effect.account)
        # Within one batch bad news outweighs good: the good may be older than the bad.
        if known is None or effect.health != "ok":
            last[effect.account] = effect
    return [(e.account, e.health, without_nul(e.words), e.rest_s) for e in last.values()]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
