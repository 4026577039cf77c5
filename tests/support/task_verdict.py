"""What the queue makes of a query's answer: the failure of the job, judged as in production."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.queue.command import Answer
from services.queue.domain import Attempt, JobState, JobStatus, Phase, Step, TimeLimits
from services.queue.machine import decide
from services.queue.policy import Policy
from services.runninghub.report import TaskReport
from services.runninghub.verdicts import CLASSES, Stage, classify, evidence_of
from services.runtime.ids import new_id

_ACCEPTED_AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
# Long enough for "no such task" to be believed, and within the run's time limit.
_NOW = _ACCEPTED_AT + timedelta(seconds=200)
# A failure is judged here, not tried anew.
_POLICY = Policy(retry_overrides=dict.fromkeys(CLASSES, 0))
_REPEATS = 4


@dataclass(frozen=True)
class Ended:
    """How a job ended by what the provider said; all but `status` is "" where it was cancelled."""

    status: str
    error_class: str = ""
    failed_at_step: str = ""
    words: str = ""


def ended_by(report: TaskReport, *, stop_for: str = "") -> Ended | None:
    """Let a running job be told the same again and again; None where that ends nothing.

    `stop_for` is why the provider was asked to stop the task before, such as "cancel".
    """
    job = _running(stop_for)
    verdict = classify(evidence_of(Stage.RUN, report))
    for _ in range(_REPEATS):
        command = Answer(job.id, 1, report, verdict, [], b"\0" * 32, by_callback=True)
        job = decide(job, command, _NOW, _POLICY).after
        if job.status.is_final:
            step = job.failed_at_step.value if job.failed_at_step else ""
            return Ended(job.status.value, job.error_class, step, job.error_message)
    return None


def _running(stop_for: str) -> JobState:
    return JobState(
        id=new_id(),
        tool="upscaler",
        variant="",
        user_id="ana",
        cost=1,
        traceparent="",
        limits=TimeLimits(60, 600, 60, 300, 60),
        created_at=_ACCEPTED_AT,
        status=JobStatus.RUNNING,
        current_step=Step.RUNNING,
        seq=1,
        attempt=1,
        current=Attempt(
            1,
            "primary",
            1,
            Phase.ACCEPTED,
            bytes(32),
            _ACCEPTED_AT,
            "7",
            accepted_at=_ACCEPTED_AT,
            stop_for=stop_for,
            stop_asked_at=_NOW if stop_for else None,
        ),
    )
