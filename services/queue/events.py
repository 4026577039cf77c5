"""Turns the outbox's events into what observability takes. Pure, and on the hot path.

Each kind's body is decoded by its own struct, which names just what is told; JSON objects that
are passed on as text are never parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from etapa.observability.v1 import event_pb2
from etapa.queue.v1 import job_pb2
from etapa_client.names import LEDGER_KINDS, PAYLOAD_KINDS, STATUSES, STEPS
from services.queue.store_outbox import OutboxEvent

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EMPTY: Final = msgspec.Raw(b"{}")
# What is kept of an event that could not be converted, inside the note that stands for it.
_SHOWN_CHARS: Final = 4000
_TRACE_ID: Final = slice(3, 35)


class _Output(msgspec.Struct):
    url: str = ""
    provider_url: str = ""
    sha256: str = ""
    bytes: int = 0
    content_type: str = ""
    node_id: str = ""
    text: str = ""


class _Step(msgspec.Struct):
    step: str
    status: str
    details: msgspec.Raw = _EMPTY
    facts: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None
    outputs: list[_Output] = []


class _Note(msgspec.Struct):
    code: str
    text: str
    details: msgspec.Raw = _EMPTY
    completes: str = ""


class _Ledger(msgspec.Struct):
    kind: str
    amount: int
    bucket: str
    entry_id: str


class _Repeat(msgspec.Struct):
    payload_id: str
    count: int
    last_at: datetime


class _Outputs(msgspec.Struct):
    outputs: list[_Output]


class _Payload(msgspec.Struct):
    payload_id: str = ""
    delivery_id: str = ""
    kind: str = "callback"
    call: str = "callback"
    exchange_id: str = ""
    attempt: int = 0
    method: str = ""
    url: str = ""
    http_status: int = 0
    headers: list[tuple[str, str]] = []
    occurred_at: datetime | None = None
    received_at: datetime | None = None
    latency_s: float | None = None
    transport: str = ""
    transport_error: str = ""
    bytes: int = 0
    sha256: str = ""
    masked: list[tuple[int, int]] = []
    content_type: str = ""
    deciding: bool = False
    trace_id: str = ""
    truncated: bool = False
    blob_sha256: str = ""


_step_of = msgspec.json.Decoder(_Step).decode
_note_of = msgspec.json.Decoder(_Note).decode
_ledger_of = msgspec.json.Decoder(_Ledger).decode
_repeat_of = msgspec.json.Decoder(_Repeat).decode
_outputs_of = msgspec.json.Decoder(_Outputs).decode
_payload_of = msgspec.json.Decoder(_Payload).decode
_attempt_of = msgspec.json.Decoder(dict[str, Any]).decode


def to_proto(event: OutboxEvent) -> event_pb2.Event:
    """Convert one event. Raises `ValueError` or `KeyError` for a body that is not as it should."""
    return event_pb2.Event(
        job_id=str(event.job_id),
        seq=event.seq,
        occurred_at=to_timestamp(event.occurred_at),
        attempt=event.attempt,
        trace_id=event.traceparent[_TRACE_ID],
        **_KINDS[event.kind](event),
    )


def stand_in(event: OutboxEvent, why: str) -> event_pb2.Event:
    """Return a note in the place of an event that can't be told, so that no number is missing."""
    details = {"kind": event.kind, "body": event.body[:_SHOWN_CHARS]}
    return event_pb2.Event(
        job_id=str(event.job_id),
        seq=event.seq,
        occurred_at=to_timestamp(event.occurred_at),
        attempt=event.attempt,
        trace_id=event.traceparent[_TRACE_ID],
        note=event_pb2.NoteEvent(
            code="EVENT_UNREADABLE",
            text=f"the queue could not tell an event: {why}"[:500],
            details_json=msgspec.json.encode(details).decode(),
        ),
    )


def to_timestamp(moment: datetime) -> Timestamp:
    """Convert an aware time, exact to the microsecond."""
    since = moment - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def outputs_to_proto(outputs: Sequence[Any]) -> list[job_pb2.Output]:
    """Convert saved outputs."""
    return [
        job_pb2.Output(
            url=each.url,
            provider_url=each.provider_url,
            sha256=each.sha256,
            bytes=each.bytes,
            content_type=each.content_type,
            node_id=each.node_id,
            text=each.text,
        )
        for each in outputs
    ]


def _step(event: OutboxEvent) -> dict[str, Any]:
    body = _step_of(event.body)
    failure = None
    if body.failure is not None:
        failure = event_pb2.Failure(**{**body.failure, "at_step": STEPS[body.failure["at_step"]]})
    return {
        "step": event_pb2.StepEvent(
            step=STEPS[body.step],
            status=STATUSES[body.status],
            details_json=_object_text(body.details),
            facts=event_pb2.JobFacts(**body.facts) if body.facts is not None else None,
            failure=failure,
            outputs=outputs_to_proto(body.outputs) if body.outputs else None,
        )
    }


def _attempt(event: OutboxEvent) -> dict[str, Any]:
    return {"attempt_change": event_pb2.AttemptEvent(**_attempt_of(event.body))}


def _ledger(event: OutboxEvent) -> dict[str, Any]:
    body = _ledger_of(event.body)
    return {
        "ledger": event_pb2.LedgerEvent(
            kind=LEDGER_KINDS[body.kind],
            amount=body.amount,
            bucket=body.bucket,
            entry_id=body.entry_id,
        )
    }


def _note(event: OutboxEvent) -> dict[str, Any]:
    body = _note_of(event.body)
    details = _object_text(body.details)
    note = event_pb2.NoteEvent(code=body.code, text=body.text, details_json=details)
    if body.completes:
        note.completes = STEPS[body.completes]
    return {"note": note}


def _repeat(event: OutboxEvent) -> dict[str, Any]:
    body = _repeat_of(event.body)
    last_at = to_timestamp(body.last_at)
    return {
        "repeat": event_pb2.RepeatEvent(
            payload_id=body.payload_id, count=body.count, last_at=last_at
        )
    }


def _outputs(event: OutboxEvent) -> dict[str, Any]:
    outputs = outputs_to_proto(_outputs_of(event.body).outputs)
    return {"outputs": event_pb2.OutputsEvent(outputs=outputs)}


def _payload(event: OutboxEvent) -> dict[str, Any]:
    body = _payload_of(event.body)
    info = _payload_info(body, event)
    if body.delivery_id:
        return {"payload": event_pb2.PayloadEvent(info=info, delivery_id=body.delivery_id)}
    if body.blob_sha256:
        return {"payload": event_pb2.PayloadEvent(info=info, blob_sha256=body.blob_sha256)}
    return {"payload": event_pb2.PayloadEvent(info=info, body=event.content or b"")}


def _payload_info(body: _Payload, event: OutboxEvent) -> event_pb2.PayloadInfo:
    occurred_at = body.occurred_at or body.received_at or event.occurred_at
    return event_pb2.PayloadInfo(
        payload_id=body.payload_id or body.delivery_id,
        kind=PAYLOAD_KINDS[body.kind],
        call=body.call,
        exchange_id=body.exchange_id or body.delivery_id,
        attempt=body.attempt,
        method=body.method,
        url=body.url,
        http_status=body.http_status,
        headers=[event_pb2.Header(name=name, value=value) for name, value in body.headers],
        occurred_at=to_timestamp(occurred_at),
        latency=_duration(body.latency_s) if body.latency_s is not None else None,
        transport=body.transport,
        transport_error=body.transport_error,
        bytes=body.bytes,
        sha256=bytes.fromhex(body.sha256),
        masked=[event_pb2.ByteRange(start=start, end=end) for start, end in body.masked],
        content_type=body.content_type,
        deciding=body.deciding,
        trace_id=body.trace_id or event.traceparent[_TRACE_ID],
        truncated=body.truncated,
    )


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))


def _object_text(details: msgspec.Raw) -> str:
    return "" if details == _EMPTY else bytes(details).decode()


_KINDS: Final[Mapping[str, Callable[[OutboxEvent], dict[str, Any]]]] = {
    "step": _step,
    "attempt": _attempt,
    "ledger": _ledger,
    "note": _note,
    "payload": _payload,
    "repeat": _repeat,
    "outputs": _outputs,
}
