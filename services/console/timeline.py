"""Lays a trail out as a timeline: rows in two tones with bars on one scale, notes beside them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from etapa.observability.v1 import trail_pb2
from etapa.queue.v1 import credits_pb2
from etapa_client.names import STEP_NAMES
from etapa_client.trail import parsed
from etapa_client.words import FINAL, PROVIDER_STEPS, Language, failed_label, step_name, word
from services.console.shown import moment, seconds_between
from services.console.story import Story
from services.console.texts import NOTES

# The bars' own unit; a bar is never too thin to be seen.
SCALE = 1000.0
LEAST_WIDTH = 4.0
SHOWN_NOTES = 4
# Part of every job: told when a step is opened, not beside its name.
ROUTINE_NOTES = frozenset({"MEDIA_STORED"})
# Credits move in the transaction of these steps, whichever of them is numbered first.
_STEPS_OF_MONEY = {
    credits_pb2.LEDGER_KIND_RESERVE: ("credits",),
    credits_pb2.LEDGER_KIND_CAPTURE: ("completed",),
    credits_pb2.LEDGER_KIND_REFUND: ("failed", "cancelled"),
}


@dataclass(frozen=True, slots=True)
class Note:
    """A line beside a step."""

    code: str
    text: str
    at: datetime | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One step. `x` and `width` are on the scale of the whole; `lasted_s` None at the end."""

    step: str
    label: str
    tone: str
    at: datetime | None
    lasted_s: float | None
    x: float
    width: float
    is_open: bool
    attempt: int
    money: int
    facts: Mapping[str, Any]
    notes: tuple[Note, ...] = field(default=())
    left_notes: int = 0
    words: str = ""

    @property
    def headline(self) -> str:
        """Return the note that stands beside the step's name; empty for none."""
        told = [note.text for note in self.notes if note.code not in ROUTINE_NOTES]
        return told[0] if told else ""


@dataclass(frozen=True, slots=True)
class Spans:
    """How long a job waited, was at the provider, and took in all; None where it was not."""

    queued_s: float | None
    provider_s: float | None
    total_s: float | None


def rows_of(story: Story, language: Language, now: datetime) -> tuple[Row, ...]:
    """Return the rows in order. A step that goes on lasts until `now`."""
    trail = story.trail
    if trail is None or not trail.steps:
        return ()
    ends = _ends(story, trail.steps, now)
    first = moment(trail.steps[0].timestamp) or now
    whole = max((seconds_between(first, ends[-1]) or 0.0), 0.001)
    culprit = _culprit(story, trail.steps)
    notes, money = _beside(trail.steps, trail.notes, language), _money(trail.steps, trail.ledger)
    rows = []
    for index, record in enumerate(trail.steps):
        at = moment(record.timestamp)
        x, width = _bar(first, at, ends[index], whole)
        step = STEP_NAMES.get(record.step, str(int(record.step)))
        failed = index == culprit
        rows.append(
            Row(
                step=step,
                label=(failed_label if failed else step_name)(step, language),
                tone="failure" if failed else tone_of(step),
                at=at,
                lasted_s=None if step in FINAL else seconds_between(at, ends[index]),
                x=x,
                width=width,
                is_open=index == len(ends) - 1 and not story.is_final,
                attempt=record.attempt,
                money=money.get(index, 0),
                facts=_facts(record.details_json),
                notes=tuple(notes.get(index, ())[:SHOWN_NOTES]),
                left_notes=max(len(notes.get(index, ())) - SHOWN_NOTES, 0),
                words=_words(story) if failed else "",
            )
        )
    return tuple(rows)


def tone_of(step: str) -> str:
    """Return whose time a step is: ours, the provider's, or the tone of an end."""
    ends = {"completed": "success", "failed": "failure", "cancelled": "stopped"}
    return ends.get(step) or ("provider" if step in PROVIDER_STEPS else "ours")


def spans_of(story: Story, now: datetime) -> Spans:
    """Return the sums of the fact strip; what goes on is counted until `now`."""
    sums: dict[str, float] = {}
    steps = story.trail.steps if story.trail is not None else ()
    if steps:
        for record, end in zip(steps, _ends(story, steps, now), strict=True):
            step = STEP_NAMES.get(record.step, "")
            lasted = seconds_between(moment(record.timestamp), end)
            sums[step] = sums.get(step, 0.0) + (lasted or 0.0)
    provider = [sums[step] for step in PROVIDER_STEPS if step in sums]
    total = seconds_between(story.created_at, story.completed_at or now)
    return Spans(sums.get("queued"), sum(provider) if provider else None, total)


def _ends(story: Story, steps: Sequence[trail_pb2.StepRecord], now: datetime) -> list[datetime]:
    starts = [moment(record.timestamp) or now for record in steps]
    last = starts[-1] if story.is_final else max(now, starts[-1])
    return [*starts[1:], last]


def _bar(
    first: datetime, start: datetime | None, end: datetime, whole: float
) -> tuple[float, float]:
    begin = seconds_between(first, start) or 0.0
    lasted = seconds_between(start, end) or 0.0
    width = max(SCALE * lasted / whole, LEAST_WIDTH)
    x = min(SCALE * begin / whole, SCALE - LEAST_WIDTH)
    return round(x, 1), round(min(width, SCALE - x), 1)


def _culprit(story: Story, steps: Sequence[trail_pb2.StepRecord]) -> int:
    """Return the index of the row where the cause lies; -1 for none."""
    if not story.failed_at_step:
        return -1
    names = [STEP_NAMES.get(record.step, "") for record in steps]
    found = [index for index, name in enumerate(names) if name == story.failed_at_step]
    return found[-1] if found else -1


def _words(story: Story) -> str:
    verdict = story.verdict
    return (verdict.provider_words if verdict else "") or story.summary.error_message


def _beside(
    steps: Sequence[trail_pb2.StepRecord],
    notes: Sequence[trail_pb2.NoteRecord],
    language: Language,
) -> dict[int, list[Note]]:
    found: dict[int, list[Note]] = {}
    for note in notes:
        text = word(NOTES, note.code, language) if note.code in NOTES else note.text
        shown = Note(note.code, text, moment(note.timestamp), _facts(note.details_json))
        found.setdefault(_place(steps, note.seq), []).append(shown)
    return found


def _money(
    steps: Sequence[trail_pb2.StepRecord], ledger: Sequence[trail_pb2.LedgerRecord]
) -> dict[int, int]:
    signs = {credits_pb2.LEDGER_KIND_RESERVE: -1, credits_pb2.LEDGER_KIND_REFUND: 1}
    found: dict[int, int] = {}
    for entry in ledger:
        places = [
            index
            for index, step in enumerate(steps)
            if STEP_NAMES.get(step.step) in _STEPS_OF_MONEY.get(entry.kind, ())
        ]
        place = places[-1] if places else _place(steps, entry.seq)
        found[place] = found.get(place, 0) + signs.get(entry.kind, 0) * entry.amount
    return found


def _place(steps: Sequence[trail_pb2.StepRecord], seq: int) -> int:
    """Return the index of the step during which an event happened."""
    return max(bisect_right([record.seq for record in steps], seq) - 1, 0)


def _facts(details_json: str) -> Mapping[str, Any]:
    found = parsed(details_json)
    if isinstance(found, dict):
        return found
    return {} if found is None else {"_text": found}
