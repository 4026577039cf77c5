"""The live card of a job as values: stages, sentence, progress, money. No markup."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from etapa.queue.v1 import credits_pb2, job_pb2
from etapa_client.names import STEP_NAMES
from etapa_client.words import Language, failed_label, is_high_demand, live_label, place
from services.console.shown import seconds_between
from services.console.story import Story
from services.console.texts import STAGES

_STAGE_OF_STEP = {
    "upload": "sent",
    "insert": "sent",
    "credits": "credits",
    "queue_check": "queue",
    "queued": "queue",
    "starting": "start",
    "running": "ai",
    "webhook_received": "ai",
    "completed": "ready",
}
_ORDER = tuple(STAGES)


@dataclass(frozen=True, slots=True)
class Stage:
    """One dot. `state` is done, current, failed, stopped or ahead."""

    label: str
    state: str


@dataclass(frozen=True, slots=True)
class Card:
    """What a card shows. `percent` is None where nothing is known of the progress."""

    story: Story
    title: str
    stages: tuple[Stage, ...]
    failed_label: str
    message: str
    advice: str
    why: str
    position: str
    is_busy: bool
    percent: int | None
    is_estimate: bool
    cancel_asked: bool
    lasted_s: float | None
    money: str
    credits: int


def card_of(story: Story, language: Language, now: datetime) -> Card:
    """Return the card of a job as it is at `now`."""
    job = story.job
    label = failed_label(story.failed_at_step, language) if story.failed_at_step else ""
    verdict = story.verdict
    has_progress = job is not None and job.HasField("progress")
    money, credits_ = money_of(story)
    return Card(
        story=story,
        title=live_label(story.step, language),
        stages=stages_of(story, language),
        failed_label=label,
        message=story.summary.error_message,
        advice=_in(verdict.advice.pt, verdict.advice.en, language) if verdict else "",
        why=_in(story.why.sentence_pt, story.why.sentence_en, language) if story.why else "",
        position=position_of(job),
        is_busy=is_busy(story, now),
        percent=job.progress.percent if job is not None and has_progress else None,
        is_estimate=job.progress.estimated if job is not None and has_progress else False,
        cancel_asked=job is not None and job.HasField("cancel_requested_at"),
        lasted_s=seconds_between(story.created_at, story.completed_at),
        money=money,
        credits=credits_,
    )


def stages_of(story: Story, language: Language) -> tuple[Stage, ...]:
    """Return the dots: what lies behind, where the job is, or where it failed."""
    reached = _reached(story)
    at = _ORDER.index(_STAGE_OF_STEP.get(reached, "sent"))
    here = {"failed": "failed", "cancelled": "stopped", "completed": "done"}.get(
        story.status, "current"
    )
    return tuple(
        Stage(
            STAGES[name].to(language),
            "done" if place < at else here if place == at else "ahead",
        )
        for place, name in enumerate(_ORDER)
    )


def position_of(job: job_pb2.Job | None) -> str:
    """Return the place in the queue as it is shown; empty outside the queue."""
    if job is None or not job.position or job.status != job_pb2.JOB_STATUS_QUEUED:
        return ""
    return place(job.position)


def is_busy(story: Story, now: datetime) -> bool:
    """Tell whether the wait is long enough to be spoken of."""
    if story.status != "queued" or story.job is None:
        return False
    waited = seconds_between(story.created_at, now) or 0.0
    return is_high_demand(story.job.position, waited)


def money_of(story: Story) -> tuple[str, int]:
    """Return what became of the charge (returned, charged, held, free) and how many credits.

    An empty word means that the ledger has not arrived yet.
    """
    if story.verdict is not None:
        returned = story.verdict.returned
        return ("returned", returned) if returned else _without_refund(story)
    cost = story.summary.cost
    if not cost:
        return "free", 0
    if story.status == "completed":
        return "charged", cost
    if story.is_final:
        return _without_refund(story)
    return "held", cost


def _without_refund(story: Story) -> tuple[str, int]:
    if story.trail is None or story.arriving:
        return "", 0  # nothing is said of money that the ledger has not said
    returned = sum(
        entry.amount for entry in story.trail.ledger if entry.kind == credits_pb2.LEDGER_KIND_REFUND
    )
    return ("returned", returned) if returned else ("free", 0)


def _reached(story: Story) -> str:
    if story.status == "failed":
        return story.failed_at_step or "upload"
    if story.status != "cancelled":
        return story.step
    steps = [step.step for step in story.trail.steps] if story.trail else []
    named = [STEP_NAMES.get(step, "") for step in steps]
    before = [name for name in named if name != "cancelled"]
    return before[-1] if before else "upload"


def _in(pt: str, en: str, language: Language) -> str:
    return pt if language is Language.PT else en
