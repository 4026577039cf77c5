"""How events fold into one projection per job, and into its attempts. Pure: no I/O, no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never
from urllib.parse import urlsplit
from uuid import UUID

from services.observability.domain import (
    PHASES,
    AttemptChange,
    Event,
    Failure,
    JobFacts,
    LedgerChange,
    NoteChange,
    Outputs,
    OutputsChange,
    PayloadChange,
    RepeatChange,
    Status,
    Step,
    StepChange,
)


@dataclass(slots=True)
class Projection:
    """One job as folded from its events up to `through_seq`. Moved forward by `fold` alone.

    Fields are in the order of `job_summaries`; `read_progress.sql` reads those up to the view.
    """

    job_id: UUID
    revision: int = 0
    through_seq: int = 0
    max_seq: int = 0
    trace_id: bytes | None = None
    status: Status | None = None
    current_step: Step | None = None
    failed_at_step: Step | None = None
    error_class: str | None = None
    error_message: str | None = None
    evidence_payload_id: str | None = None
    evidence_path: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    attempt: int = 0
    account: str = ""
    task_id: str = ""
    output_url: str | None = None
    outputs: bytes | None = None
    step_count: int = 0
    note_count: int = 0
    payload_count: int = 0
    tool: str = ""
    # As read from the catalogue; not part of the projection.
    view: str = ""
    variant: str = ""
    user_id: str = ""
    caller: str = ""
    request_id: str = ""
    retry_of: str = ""
    cost: int = 0
    input_json: str = ""
    # Whether the whole row is to be written: it is new, or its facts have just arrived.
    is_whole: bool = False

    @property
    def phase(self) -> str | None:
        """The status in coarse, as indexed."""
        return None if self.status is None else PHASES[self.status]

    @property
    def has_gap(self) -> bool:
        """Whether stored events wait for one that has not arrived."""
        return self.max_seq > self.through_seq


@dataclass(slots=True)
class Folded:
    """What folding asks for beyond the projections: each effect exactly once per event."""

    jobs: list[Projection] = field(default_factory=list)
    # What had not been stored before, in order of (job_id, seq); some may lie beyond a gap.
    fresh: list[Event] = field(default_factory=list)
    keys: set[tuple[bytes, UUID, str]] = field(default_factory=set)
    repeats: dict[tuple[UUID, UUID], tuple[int, datetime]] = field(default_factory=dict)
    steps: list[tuple[Projection, Event]] = field(default_factory=list)

    def add_key(self, job: Projection, kind: str, text: str) -> None:
        """Ask for the job to be found by an id."""
        if text:
            self.keys.add((key_of(text), job.job_id, kind))

    def add_repeat(self, job: Projection, change: RepeatChange) -> None:
        """Sum what the batch tells about one payload."""
        key = (job.job_id, change.payload_id)
        count, last_at = self.repeats.get(key, (0, change.last_at))
        self.repeats[key] = (count + change.count, max(last_at, change.last_at))


def fold(job: Projection, events: Iterable[Event], effects: Folded) -> None:
    """Move a projection forward over the contiguous part of `events`, which ascend by seq.

    Events that are folded already are passed over; the first gap ends it.
    """
    for event in events:
        job.max_seq = max(job.max_seq, event.seq)
        if event.seq == job.through_seq + 1:
            _advance(job, event, effects)


def _advance(job: Projection, event: Event, effects: Folded) -> None:
    _begin(job, event, effects)
    match event.change:
        case StepChange() as change:
            _take_step(job, event, change, effects)
            effects.steps.append((job, event))
        case AttemptChange() as change:
            _take_attempt(job, change, effects)
        case PayloadChange() as change:
            job.payload_count += 1
            if change.is_callback:
                effects.add_key(job, "delivery_id", str(change.payload_id))
        case RepeatChange() as change:
            effects.add_repeat(job, change)
        case OutputsChange() as change:
            _take_outputs(job, change.outputs, effects)
        case NoteChange():
            job.note_count += 1
        case LedgerChange():
            pass
        case _:
            assert_never(event.change)


def _begin(job: Projection, event: Event, effects: Folded) -> None:
    job.through_seq = event.seq
    if job.status is None:
        job.status, job.current_step = Status.PENDING, Step.UPLOAD
        job.created_at = event.occurred_at
    if event.trace_id and event.trace_id != job.trace_id:
        job.trace_id = job.trace_id or event.trace_id
        effects.add_key(job, "trace_id", event.trace_id.hex())
    job.attempt = max(job.attempt, event.attempt)


def _take_step(job: Projection, event: Event, change: StepChange, effects: Folded) -> None:
    job.step_count += 1
    if change.facts is not None and not job.tool:
        _take_facts(job, change.facts, effects)
    if job.status is not None and job.status.is_final:
        return
    previous = job.current_step
    job.status, job.current_step = change.status, change.step
    if change.step is Step.STARTING and job.started_at is None:
        job.started_at = event.occurred_at
    if change.status.is_final:
        job.completed_at = event.occurred_at
    if change.status is Status.FAILED:
        _take_failure(job, change.failure, previous or Step.UPLOAD)
    if change.outputs is not None:
        _take_outputs(job, change.outputs, effects)


def _take_facts(job: Projection, facts: JobFacts, effects: Folded) -> None:
    job.tool, job.variant, job.user_id = facts.tool, facts.variant, facts.user_id
    job.cost, job.input_json, job.retry_of = facts.cost, facts.input_json, facts.retry_of
    job.caller, job.request_id = facts.caller, facts.request_id
    job.is_whole = True
    effects.add_key(job, "request_id", facts.request_id)


def _take_failure(job: Projection, failure: Failure | None, last_step: Step) -> None:
    # A sender that does not say where leaves us the last step that was reached, and no class.
    job.failed_at_step = (failure.at_step if failure else None) or last_step
    job.error_class = (failure.error_class if failure else "") or "unknown"
    job.error_message = failure.message if failure else ""
    job.evidence_payload_id = failure.evidence_payload_id if failure else ""
    job.evidence_path = failure.evidence_path if failure else ""


def _take_attempt(job: Projection, change: AttemptChange, effects: Folded) -> None:
    if change.number < job.attempt:
        return
    if change.phase == "claimed":
        job.task_id = ""
    job.attempt = change.number
    job.account = change.account or job.account
    if change.task_id and change.task_id != job.task_id:
        job.task_id = change.task_id
        effects.add_key(job, "task_id", change.task_id)


def _take_outputs(job: Projection, outputs: Outputs, effects: Folded) -> None:
    job.outputs = outputs.packed
    job.output_url = outputs.first_url or None
    for url in outputs.urls:
        effects.add_key(job, "output_url", bare_url(url))


@dataclass(slots=True)
class Attempt:
    """An attempt with its times, as folded from its changes."""

    number: int
    account: str = ""
    phase: str = ""
    task_id: str = ""
    outcome: str = ""
    error_class: str = ""
    coins: str = ""
    money: str = ""
    task_cost_time: str = ""
    times: dict[str, datetime] = field(default_factory=dict)

    def take(self, at: datetime, change: AttemptChange) -> None:
        """Take what a change tells; what it leaves open stays as it was."""
        self.phase = change.phase or self.phase
        self.times.setdefault(change.phase, at)
        self.account = change.account or self.account
        self.task_id = change.task_id or self.task_id
        self.outcome = change.outcome or self.outcome
        self.error_class = change.error_class or self.error_class
        self.coins = change.coins or self.coins
        self.money = change.money or self.money
        self.task_cost_time = change.task_cost_time or self.task_cost_time


def fold_attempts(changes: Iterable[tuple[datetime, AttemptChange]]) -> list[Attempt]:
    """Return the attempts in order; `times` holds when each phase was first reached."""
    attempts: dict[int, Attempt] = {}
    for at, change in changes:
        attempt = attempts.setdefault(change.number, Attempt(change.number))
        attempt.take(at, change)
    return [attempts[number] for number in sorted(attempts)]


def key_of(text: str) -> bytes:
    """Return the 16 bytes by which an id is kept for `Find`."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def bare_url(url: str) -> str:
    """Return a URL without query string and fragment; signatures in there change and expire."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return parts._replace(query="", fragment="").geturl()
