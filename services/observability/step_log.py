"""Writes one log line for each recorded step, in the form that the plan gives it."""

from __future__ import annotations

from typing import Any

import msgspec

from services.observability.domain import Event, StepChange
from services.observability.fold import Folded, Projection
from services.runtime.log import get_log

_log = get_log(__name__)
# Names that a line has of its own; a step's detail of that name gets a prefix. (`attempt` means the
# same in both.)
_OWN = frozenset(
    {
        "action",
        "event",
        "job_id",
        "level",
        "logger",
        "message",
        "seq",
        "service",
        "span_id",
        "status",
        "step",
        "timestamp",
        "trace_id",
        "exc_info",
        "stack_info",
    }
)


def log_steps(folded: Folded) -> None:
    """Log `[upscaler_jobs] Job <id>: <step>` for each step, with its details as fields."""
    for job, event in folded.steps:
        if isinstance(event.change, StepChange):
            _log_step(job, event, event.change)


def _log_step(job: Projection, event: Event, change: StepChange) -> None:
    own = {
        "action": "step_recorded",
        "job_id": str(job.job_id),
        "seq": event.seq,
        "step": change.step.value,
        "status": change.status.value,
        "attempt": event.attempt,
        "trace_id": (event.trace_id or job.trace_id or b"").hex(),
    }
    message = f"[{job.view or 'jobs'}] Job {job.job_id}: {change.step}"
    _log.info(message, **{**_fields_of(change.details_json), **own})


def _fields_of(details_json: str) -> dict[str, Any]:
    try:
        details = msgspec.json.decode(details_json) if details_json else {}
    except (msgspec.DecodeError, RecursionError):
        return {"details": details_json}
    if not isinstance(details, dict):
        return {"details": details_json}
    return {f"detail_{name}" if name in _OWN else name: each for name, each in details.items()}
