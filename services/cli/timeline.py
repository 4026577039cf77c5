"""The timeline of a trail as lines: steps with times and durations in two tones, notes beneath."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from google.protobuf import timestamp_pb2
from rich.text import Text

from etapa.observability.v1 import trail_pb2
from etapa_client.names import STEP_NAMES
from etapa_client.trail import parsed
from etapa_client.words import PROVIDER_STEPS, Language, Words, step_name
from services.cli.layout import (
    BAD,
    DIM,
    GOOD,
    OURS,
    PROVIDERS,
    clock,
    columns,
    details,
    duration,
    one_line,
    seconds_between,
)

_OUR_MARK, _PROVIDER_MARK = "●", "◆"
_ENDS = {"completed": GOOD, "failed": BAD, "cancelled": DIM}
_LONG_CHARS = 160
# Fixed widths, so that lines written one by one stand in columns too.
_CODE_CELLS, _NAME_CELLS, _LASTED_CELLS = 16, 23, 7
# The plan's detail keys and those that the design adds, in the order in which they are told.
DETAIL_KEYS: Mapping[str, tuple[str, ...]] = {
    "upload": ("fileName", "bytes", "sha256"),
    "insert": ("tool", "variant", "inputs"),
    "credits": ("cost", "newBalance"),
    "queue_check": ("slotsAvailable", "globalRunning", "queueLength"),
    "queued": ("position",),
    "starting": ("webappId", "accountName", "attempt"),
    "running": ("taskId",),
    "webhook_received": ("event", "taskStatus", "hasOutput"),
    "completed": ("outputUrl", "outputs"),
    "failed": ("at_step", "class", "error"),
}
TITLE = Words("Linha do tempo", "Timeline")
LEGEND = Words("● nós  ◆ provedor", "● ours  ◆ the provider's")


class StepLine(NamedTuple):
    """One step as it is printed. `seconds` is how long it lasted; None while it goes on."""

    step: str
    timestamp: timestamp_pb2.Timestamp
    seconds: float | None
    facts: Mapping[str, Any]


def step_cells(line: StepLine, language: Language) -> list[Text]:
    """Return time, mark, code, label, duration and details of a step."""
    tone = tone_of(line.step)
    mark = _PROVIDER_MARK if line.step in PROVIDER_STEPS else _OUR_MARK
    # A last step has no end, an eager line none yet.
    lasted = "" if line.seconds is None else duration(line.seconds, language)
    return [
        Text(clock(line.timestamp, language), style=DIM),
        Text(mark, style=tone),
        Text(line.step.ljust(_CODE_CELLS), style=tone),
        Text(step_name(line.step, language).ljust(_NAME_CELLS)),
        Text(lasted.rjust(_LASTED_CELLS)),
        Text(shown_facts(line.facts, line.step), style=DIM),
    ]


def shown_facts(facts: Mapping[str, Any], step: str = "") -> str:
    """Return details on one line; long values are cut, the trail has them whole."""
    # jsonb, through which they came, has an order of its own.
    known = [key for key in DETAIL_KEYS.get(step, ()) if key in facts]
    order = [*known, *(key for key in facts if key not in known)]
    return details({key: _short(facts[key]) for key in order})


def tone_of(step: str) -> str:
    """Return the colour of a step: ours, the provider's, or that of an end."""
    return _ENDS.get(step) or (PROVIDERS if step in PROVIDER_STEPS else OURS)


def timeline(trail: trail_pb2.GetTrailResponse, language: Language) -> list[Text]:
    """Return the steps in order, each with the notes that were made while it went on."""
    rows: list[tuple[int, list[Text]]] = []
    for index, record in enumerate(trail.steps):
        following = trail.steps[index + 1] if index + 1 < len(trail.steps) else None
        lasted = seconds_between(record.timestamp, following.timestamp if following else None)
        line = StepLine(
            STEP_NAMES.get(record.step, str(int(record.step))),
            record.timestamp,
            lasted,
            as_facts(record.details_json),
        )
        rows.append((record.seq, step_cells(line, language)))
    told = [as_facts(record.details_json) for record in trail.steps]
    notes = [(note.seq, note_cells(_new_only(note, told), language)) for note in trail.notes]
    return columns(_in_order(rows, notes))


def note_cells(note: trail_pb2.NoteRecord, language: Language) -> list[Text]:
    """Return a note as a row beneath its step."""
    facts = dict(as_facts(note.details_json))
    in_portuguese = facts.pop("message_pt", "")
    text = in_portuguese if in_portuguese and language is Language.PT else note.text
    return [
        Text(clock(note.timestamp, language), style=DIM),
        Text("·", style=DIM),
        Text(" " * _CODE_CELLS),
        Text(one_line(note.code).ljust(_NAME_CELLS), style=DIM),
        Text(" " * _LASTED_CELLS),
        Text(f"{one_line(str(text))}  {shown_facts(facts)}".rstrip(), style=DIM),
    ]


def as_facts(details_json: str) -> Mapping[str, Any]:
    """Return a record's details; what is no JSON object stands under `_text`."""
    found = parsed(details_json)
    return found if isinstance(found, dict) else {"_text": found}


def _new_only(
    note: trail_pb2.NoteRecord, told: Sequence[Mapping[str, Any]]
) -> trail_pb2.NoteRecord:
    """Return the note, without its facts where they complete a step and are told with it."""
    facts = as_facts(note.details_json)
    for step in told:
        if facts and all(key in step and step[key] == value for key, value in facts.items()):
            bare = trail_pb2.NoteRecord()
            bare.CopyFrom(note)
            bare.details_json = ""
            return bare
    return note


def _in_order(
    steps: Sequence[tuple[int, list[Text]]], notes: Sequence[tuple[int, list[Text]]]
) -> list[list[Text]]:
    return [cells for _, cells in sorted([*steps, *notes], key=lambda row: row[0])]


def _short(value: Any) -> Any:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(shown) <= _LONG_CHARS else shown[:_LONG_CHARS] + "…"
