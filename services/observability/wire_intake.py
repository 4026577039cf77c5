"""What comes in, from protos to the domain. One bad event never takes its neighbours along."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Final
from uuid import UUID

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from etapa.observability.v1 import event_pb2, intake_pb2
from etapa.queue.v1 import operations_pb2
from services.observability.chapter import pack
from services.observability.domain import Body, Event, Kind, NoteChange, PayloadChange, StepChange
from services.observability.jsonb import fits_jsonb, jsonb_text
from services.observability.store.schema import Tool
from services.observability.wire import (
    UnreadableError,
    change_of,
    digest_of,
    stamp_of,
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
    """A callback as the gateway tells of it; `info` is its packed PayloadInfo without its id."""

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
    # The events of a batch are of few jobs, and those of one change have one time.
    id_of, trace_id_of, at = cache(_job_id_of), cache(_trace_id_of), cache(_time)
    for message in request.events:
        try:
            job_id = id_of(message.job_id)
            if message.seq < 1:
                raise UnreadableError(f"seq {message.seq} is below 1")
        except UnreadableError as error:
            batch.rejected.append((message.job_id, message.seq, str(error)))
            continue
        try:
            batch.events.append(_event_from(message, job_id, trace_id_of(message.trace_id), at))
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
    message = event_pb2.Event(seq=seq, occurred_at=stamp_of(at), note=note)
    return Event(job_id, seq, at, 0, None, Kind.NOTE, NoteChange(), pack(message))


def delivery_from(message: intake_pb2.Delivery) -> IncomingDelivery:
    """Read one callback. Raises `InvalidInputError`: the gateway makes these ids itself."""
    try:
        delivery_id = _job_id_of(message.info.payload_id)
        body = Body(message.body)
        if message.WhichOneof("content") == "blob_sha256":
            body = Body(blob_sha256=digest_of(message.blob_sha256))
    except UnreadableError as error:
        raise InvalidInputError(f"a delivery can't be stored: {error}", "deliveries") from error
    info = message.info
    # The row has it already.
    if info.exchange_id == info.payload_id:
        info.ClearField("exchange_id")
    info.ClearField("payload_id")
    return IncomingDelivery(delivery_id, info.SerializeToString(), body)


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


def _event_from(
    message: event_pb2.Event,
    job_id: UUID,
    trace_id: bytes | None,
    time_at: Callable[[int, int], datetime],
) -> Event:
    """Read an event; what is left of its message after that is how it is stored."""
    kind, change = change_of(message)
    stamp = message.occurred_at
    seconds, attempt = stamp.seconds, message.attempt
    if not seconds and not message.HasField("occurred_at"):
        raise UnreadableError("occurred_at is not set")
    at = time_at(seconds, stamp.nanos)
    if attempt < 0:
        raise UnreadableError(f"attempt {attempt} is below 0")
    details = None
    if isinstance(change, StepChange):
        details = _details_of(change.details_json)
    elif isinstance(change, PayloadChange):
        _leave_info(message.payload, change)
    elif isinstance(change, NoteChange) and change.completes is not None:
        details = _more_details_of(message.note.details_json)
    seq = message.seq
    return Event(job_id, seq, at, attempt, trace_id, kind, change, pack(message), details)


def _details_of(text: str) -> str | None:
    """Return a step's details as jsonb takes them."""
    if not text:
        return None
    raw = text.encode()
    if raw.lstrip()[:1] != b"{":
        return msgspec.json.encode({"_text": without_nul(text)}).decode()
    return jsonb_text(raw)


def _more_details_of(text: str) -> str | None:
    """Return what completes a step's details; nothing where that is no object."""
    raw = text.encode()
    return text if raw.lstrip()[:1] == b"{" and fits_jsonb(raw) else None


def _leave_info(payload: event_pb2.PayloadEvent, change: PayloadChange) -> None:
    """Leave of a payload its description: the body is stored by itself."""
    if change.body is None:
        payload.info.payload_id = payload.delivery_id
        payload.info.kind = event_pb2.PAYLOAD_KIND_CALLBACK
    payload.ClearField("content")


def _time(seconds: int, nanos: int) -> datetime:
    return time_of(Timestamp(seconds=seconds, nanos=nanos))


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
