"""What comes in, from protos to the domain. One bad event never takes its neighbours along."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

import msgspec

from etapa.observability.v1 import event_pb2, intake_pb2
from etapa.queue.v1 import operations_pb2
from services.observability.domain import Body, Change, Event, Kind, NoteChange, OutputsChange
from services.observability.jsonb import fits_jsonb, jsonb_text
from services.observability.store.schema import Tool
from services.observability.wire import (
    UnreadableError,
    attempt_change,
    digest_of,
    ledger_change,
    note_change,
    outputs_of,
    payload_change,
    repeat_change,
    step_change,
    time_of,
)
from services.runtime.db import uuid_of
from services.runtime.errors import InvalidInputError
from services.runtime.text import without_nul

MAX_EVENTS: Final = 1000
MAX_DELIVERIES: Final = 500
# What is kept of an event that this service can't read.
_UNREADABLE_BYTES: Final = 16 * 1024


@dataclass(slots=True)
class IncomingDelivery:
    """A callback as the gateway tells of it; `info` is its packed PayloadInfo."""

    delivery_id: UUID
    info: bytes
    body: Body


@dataclass(slots=True)
class Batch:
    """One request of RecordEvents, read: what can be stored, and (job_id, seq, why) of the rest.

    An event whose identity is good but whose content is not is in both: a note takes its place,
    so that the job's history has no gap for ever.
    """

    number: int
    events: list[Event] = field(default_factory=list)
    rejected: list[tuple[str, int, str]] = field(default_factory=list)


def batch_from(request: intake_pb2.RecordEventsRequest, now: datetime) -> Batch:
    """Read one request. Raises `InvalidInputError` where it is beyond the limits."""
    if len(request.events) > MAX_EVENTS:
        raise InvalidInputError(
            f"a batch has at most {MAX_EVENTS} events, this one {len(request.events)}", "events"
        )
    batch = Batch(request.batch)
    # The events of a batch are of few jobs.
    id_of, trace_id_of = cache(_job_id_of), cache(_trace_id_of)
    for message in request.events:
        try:
            job_id = id_of(message.job_id)
            if message.seq < 1:
                raise UnreadableError(f"seq {message.seq} is below 1")
        except UnreadableError as error:
            batch.rejected.append((message.job_id, message.seq, str(error)))
            continue
        try:
            batch.events.append(_event_from(message, job_id, trace_id_of(message.trace_id)))
        except UnreadableError as error:
            batch.rejected.append((message.job_id, message.seq, str(error)))
            raw = message.SerializeToString()
            batch.events.append(stand_in(job_id, message.seq, now, raw, str(error)))
    return batch


def stand_in(job_id: UUID, seq: int, at: datetime, raw: bytes, why: str) -> Event:
    """Return the note that stands in the history for an event which can't be stored."""
    note = event_pb2.NoteEvent(
        code="EVENT_UNREADABLE",
        text=f"An event could not be read: {why}"[:500],
        details_json=msgspec.json.encode(
            {"event": base64.b64encode(raw[:_UNREADABLE_BYTES]).decode()}
        ).decode(),
    )
    return Event(job_id, seq, at, 0, None, Kind.NOTE, NoteChange(), note.SerializeToString())


def delivery_from(message: intake_pb2.Delivery) -> IncomingDelivery:
    """Read one callback. Raises `InvalidInputError`: the gateway makes these ids itself."""
    try:
        delivery_id = _job_id_of(message.info.payload_id)
        body = Body(message.body)
        if message.WhichOneof("content") == "blob_sha256":
            body = Body(blob_sha256=digest_of(message.blob_sha256))
    except UnreadableError as error:
        raise InvalidInputError(f"a delivery can't be stored: {error}", "deliveries") from error
    return IncomingDelivery(delivery_id, message.info.SerializeToString(), body)


def deliveries_from(request: intake_pb2.RecordDeliveriesRequest) -> list[IncomingDelivery]:
    """Read a request of callbacks, each id once."""
    if len(request.deliveries) > MAX_DELIVERIES:
        raise InvalidInputError(
            f"at most {MAX_DELIVERIES} deliveries a request, not {len(request.deliveries)}",
            "deliveries",
        )
    read = [delivery_from(each) for each in request.deliveries]
    return list({each.delivery_id: each for each in read}.values())


def tools_from(announcements: Iterable[operations_pb2.ToolAnnouncement]) -> list[Tool]:
    """Read a catalogue."""
    return [
        Tool(each.name, each.view, each.label_pt, each.label_en, each.SerializeToString())
        for each in announcements
    ]


def _event_from(message: event_pb2.Event, job_id: UUID, trace_id: bytes | None) -> Event:
    field_name = message.WhichOneof("kind")
    if field_name is None:
        raise UnreadableError("its kind is unknown here: deploy the newer observability first")
    if not message.HasField("occurred_at"):
        raise UnreadableError("occurred_at is not set")
    if message.attempt < 0:
        raise UnreadableError(f"attempt {message.attempt} is below 0")
    kind, read = _READERS[field_name]
    part = getattr(message, field_name)
    change, details = read(part)
    return Event(
        job_id,
        message.seq,
        time_of(message.occurred_at),
        message.attempt,
        trace_id,
        kind,
        change,
        part.SerializeToString(),
        details,
    )


def _step_from(message: event_pb2.StepEvent) -> tuple[Change, str | None]:
    change = step_change(message)
    text = message.details_json
    if not text:
        return change, None
    raw = text.encode()
    if raw.lstrip()[:1] != b"{":
        return change, msgspec.json.encode({"_text": without_nul(text)}).decode()
    if not fits_jsonb(raw):
        return change, jsonb_text(raw)
    # The column holds all of it; it need not be stored twice.
    message.ClearField("details_json")
    return change, text


def _payload_from(message: event_pb2.PayloadEvent) -> tuple[Change, None]:
    if message.delivery_id:
        message.info.payload_id = message.delivery_id
        message.info.kind = event_pb2.PAYLOAD_KIND_CALLBACK
    change = payload_change(message)
    message.ClearField("content")
    return change, None


def _attempt_from(message: event_pb2.AttemptEvent) -> tuple[Change, None]:
    return attempt_change(message), None


def _ledger_from(message: event_pb2.LedgerEvent) -> tuple[Change, None]:
    return ledger_change(message), None


def _note_from(message: event_pb2.NoteEvent) -> tuple[Change, str | None]:
    change = note_change(message)
    raw = message.details_json.encode()
    fits = change.completes is not None and raw.lstrip()[:1] == b"{" and fits_jsonb(raw)
    return change, message.details_json if fits else None


def _repeat_from(message: event_pb2.RepeatEvent) -> tuple[Change, None]:
    return repeat_change(message), None


def _outputs_from(message: event_pb2.OutputsEvent) -> tuple[Change, None]:
    return OutputsChange(outputs_of(message)), None


# How each kind is read: the change, and a step's details as jsonb text. What is left of the message
# after that is how it is stored.
_READERS: Final[Mapping[str, tuple[Kind, Callable[[Any], tuple[Change, str | None]]]]] = {
    "step": (Kind.STEP, _step_from),
    "attempt_change": (Kind.ATTEMPT, _attempt_from),
    "ledger": (Kind.LEDGER, _ledger_from),
    "note": (Kind.NOTE, _note_from),
    "payload": (Kind.PAYLOAD, _payload_from),
    "repeat": (Kind.REPEAT, _repeat_from),
    "outputs": (Kind.OUTPUTS, _outputs_from),
}


def _job_id_of(text: str) -> UUID:
    try:
        job_id = uuid_of(text)
    except ValueError as error:
        raise UnreadableError(f"id {text[:80]!r} is not a UUID") from error
    if job_id.version != 7:
        raise UnreadableError(f"id {text} is not a UUIDv7, whose order is time")
    return job_id


def _trace_id_of(text: str) -> bytes | None:
    # A step is worth more than its trace: a malformed trace id is none.
    try:
        trace_id = bytes.fromhex(text)
    except ValueError:
        return None
    return trace_id if len(trace_id) == 16 else None
