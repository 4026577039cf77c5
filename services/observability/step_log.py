"""Writes one log line for each recorded step, in the form that the plan gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from services.observability.domain import Event, StepChange
from services.observability.fold import Folded, Projection
from services.runtime.log import write_lines
from services.runtime.redact import redact_text

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
        "module",
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
    if folded.steps:
        write_lines(
            __name__,
            [
                _line(job, event, event.change)
                for job, event in folded.steps
                if isinstance(event.change, StepChange)
            ],
        )


def _line(job: Projection, event: Event, change: StepChange) -> dict[str, Any]:
    job_id = str(job.job_id)
    return {
        **_fields_of(change.details_json),
        "action": "step_recorded",
        "job_id": job_id,
        "seq": event.seq,
        "step": change.step,
        "status": change.status,
        "attempt": event.attempt,
        "trace_id": (event.trace_id or job.trace_id or b"").hex(),
        "message": f"[{job.view or 'jobs'}] Job {job_id}: {change.step}",
    }


def _fields_of(details_json: str) -> Mapping[str, Any]:
    if not details_json:
        return {}
    text = redact_text(details_json)
    try:
        details = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {"details": text}
    if not isinstance(details, dict):
        return {"details": text}
    if _OWN.isdisjoint(details):
        return details
    return {f"detail_{name}" if name in _OWN else name: each for name, each in details.items()}
