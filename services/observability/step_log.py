"""Writes one log line for each recorded step, in the form that the plan gives it."""

from __future__ import annotations

import msgspec

from services.observability.domain import Event, StepChange
from services.observability.fold import Folded, Projection
from services.runtime.log import write_lines

# Names that a line has of its own; a step's detail of that name gets a prefix. (But `attempt`,
# which means the same in both.)
_OWN = frozenset(
    {
        "action",
        "attempt",
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


def _line(job: Projection, event: Event, change: StepChange) -> str:
    """Return a line's members; details are JSON already, so they are put in as they are."""
    job_id = str(job.job_id)
    step, status = change.step.value, change.status.value
    # A view has a name of lower case letters, unless its tool was never announced.
    view = job.view or "jobs"
    message = _text(f"[{view}] Job {job_id}: {step}")
    trace_id = (event.trace_id or job.trace_id or b"").hex()
    return (
        f'{_members_of(change.details_json)}"action":"step_recorded","job_id":"{job_id}",'
        f'"seq":{event.seq},"step":"{step}","status":"{status}","attempt":{event.attempt},'
        f'"trace_id":"{trace_id}","message":{message}'
    )


def _members_of(details_json: str) -> str:
    """Return details as members of a line, each with a comma behind it."""
    if not details_json:
        return ""
    try:
        details = msgspec.json.decode(details_json)
    except (msgspec.DecodeError, RecursionError):
        details = None
    if not isinstance(details, dict):
        return f'"details":{_text(details_json)},'
    if not details:
        return ""
    if _OWN.isdisjoint(details) and details_json.isprintable():
        return details_json.strip()[1:-1] + ","
    renamed = {
        f"detail_{name}" if name in _OWN else name: each
        for name, each in details.items()
        if name != "attempt"
    }
    return msgspec.json.encode(renamed).decode()[1:-1] + "," if renamed else ""


def _text(text: str) -> str:
    return msgspec.json.encode(text).decode()
