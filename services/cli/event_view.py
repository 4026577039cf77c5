"""Events of a watched job as lines for people and objects for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf import timestamp_pb2
from rich.text import Text

from etapa.observability.v1 import event_pb2, trail_pb2
from etapa_client.names import LEDGER_NAMES, PAYLOAD_NAMES, STATUS_NAMES, STEP_NAMES
from etapa_client.trail import parsed, rfc3339
from etapa_client.words import Language
from services.cli.layout import columns, seconds_between
from services.cli.timeline import StepLine, as_facts, note_cells, step_cells

_ENDS = frozenset({"completed", "failed", "cancelled"})


class EventLines:
    """Turns events, in their order, into lines: a step's line comes when the step has ended.

    Only then is its duration known. `eager` writes it when the step begins, without a duration.
    """

    def __init__(self, language: Language, *, eager: bool = False) -> None:
        self._language = language
        self._eager = eager
        self._open: StepLine | None = None
        self._held: list[Text] = []
        self.is_final = False
        self.step_began: timestamp_pb2.Timestamp | None = None

    def take(self, event: event_pb2.Event) -> Iterator[Text]:
        """Yield the lines that can be written now that this event is here."""
        kind = event.WhichOneof("kind")
        if kind == "step":
            yield from self._take_step(event)
        elif kind == "note":
            yield from self._after_step(self._note_line(event))

    def rest(self) -> Iterator[Text]:
        """Yield what waits for the end of a step that goes on."""
        if self._open is not None:
            yield self._line(self._open)
        yield from self._held
        self._open, self._held = None, []

    def _take_step(self, event: event_pb2.Event) -> Iterator[Text]:
        if self._open is not None:
            lasted = seconds_between(self._open.timestamp, event.occurred_at)
            self._open = self._open._replace(seconds=lasted)
            yield from self.rest()
        step = STEP_NAMES.get(event.step.step, str(int(event.step.step)))
        facts = as_facts(event.step.details_json)
        line = StepLine(step, event.occurred_at, None, facts)
        self.step_began = event.occurred_at
        self.is_final = step in _ENDS
        if self._eager or self.is_final:
            yield self._line(line)
        else:
            self._open = line

    def _note_line(self, event: event_pb2.Event) -> Text:
        """Return the note's line; what it adds to the step that goes on is told with that step."""
        details_json = event.note.details_json
        completed = STEP_NAMES.get(event.note.completes, "")
        if self._open is not None and self._open.step == completed:
            facts = {**self._open.facts, **as_facts(details_json)}
            self._open = self._open._replace(facts=facts)
            details_json = ""
        note = trail_pb2.NoteRecord(
            code=event.note.code,
            text=event.note.text,
            timestamp=event.occurred_at,
            details_json=details_json,
        )
        return columns([note_cells(note, self._language)])[0]

    def _after_step(self, line: Text) -> Iterator[Text]:
        if self._open is None:
            yield line
        else:
            self._held.append(line)

    def _line(self, line: StepLine) -> Text:
        return columns([step_cells(line, self._language)])[0]


def event_to_json(event: event_pb2.Event) -> dict[str, Any]:
    """Return one event as an object: `{seq, kind, timestamp, attempt, trace_id, …}`."""
    kind = event.WhichOneof("kind") or ""
    return {
        "job_id": event.job_id,
        "seq": event.seq,
        "kind": "attempt" if kind == "attempt_change" else kind,
        "timestamp": rfc3339(event.occurred_at),
        "attempt": event.attempt,
        "trace_id": event.trace_id,
        **_facts(event, kind),
    }


def _facts(event: event_pb2.Event, kind: str) -> dict[str, Any]:
    if kind == "step":
        return _step(event.step)
    if kind == "attempt_change":
        change = event.attempt_change
        return {
            "number": change.number,
            "account": change.account,
            "phase": change.phase,
            "task_id": change.task_id,
            "outcome": change.outcome,
            "class": change.error_class,
        }
    if kind == "ledger":
        entry = event.ledger
        return {
            "ledger": LEDGER_NAMES.get(entry.kind, ""),
            "amount": entry.amount,
            "bucket": entry.bucket,
        }
    if kind == "note":
        note = event.note
        return {"code": note.code, "text": note.text, "details": parsed(note.details_json)}
    if kind == "payload":
        return _payload(event.payload.info)
    if kind == "outputs":
        return {"output_urls": [output.url for output in event.outputs.outputs]}
    return {}


def _step(step: event_pb2.StepEvent) -> dict[str, Any]:
    return {
        "step": STEP_NAMES.get(step.step, str(int(step.step))),
        "status": STATUS_NAMES.get(step.status, str(int(step.status))),
        "details": parsed(step.details_json),
    }


def _payload(info: event_pb2.PayloadInfo) -> dict[str, Any]:
    return {
        "payload_id": info.payload_id,
        "payload": PAYLOAD_NAMES.get(info.kind, ""),
        "call": info.call,
        "http_status": info.http_status,
        "bytes": info.bytes,
        "deciding": info.deciding,
    }
