"""Spans of what a job waits for, made from stored times when the wait is over.

A span cannot stay open across processes, so the waits are recorded at their ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.queue.domain import Change, JobStatus, Phase
from services.runtime.tracing import record_span


def record_waits(changes: Sequence[Change]) -> None:
    """Record the waits that these commits ended. A listener of `Transitions`."""
    for change in changes:
        _record_queue_wait(change)
        _record_remote_run(change)


def _record_queue_wait(change: Change) -> None:
    before, after = change.before, change.after
    if after.status is JobStatus.QUEUED:
        return
    if before.status is JobStatus.QUEUED:
        since = before.current.ended_at if before.current else None
        since = since or before.queued_at
    elif before.queued_at is None:
        since = after.queued_at  # it came and went in one commit
    else:
        return
    if since is not None:
        record_span("queue wait", since, _time_of(change), parent=before.traceparent)


def _record_remote_run(change: Change) -> None:
    before, after = change.before.current, change.after.current
    if before is None or after is None or before.phase is not Phase.ACCEPTED:
        return
    if after.phase is Phase.ACCEPTED or before.accepted_at is None:
        return
    error_type = after.error_class
    record_span(
        "runninghub run",
        before.accepted_at,
        _time_of(change),
        parent=before.traceparent or change.before.traceparent,
        error_type=error_type,
    )


def _time_of(change: Change) -> datetime:
    return max(event.occurred_at for event in change.events)
