"""Turns events into what observability takes, once, when they are written. Pure; a hot path.

Messages are made from nested dicts: protobuf fills them in place, where a message given to another
one's constructor is serialised and parsed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from etapa.observability.v1 import event_pb2, intake_pb2
from etapa.queue.v1 import job_pb2
from etapa_client.names import LEDGER_KINDS, PAYLOAD_KINDS, STATUSES, STEPS
from services.queue.domain import Details, EventKind, NewEvent

Fields: TypeAlias = dict[str, Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# What is kept of an event that could not be converted, inside the note that stands for it.
_SHOWN_CHARS: Final = 4000


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


def encode(event: NewEvent, job_id: str, seq: int, trace_id: str) -> bytes:
    """Return a serialised `RecordEventsRequest` that holds this event alone.

    Joined, such bytes are one request with all their events. Raises where the event is not as it
    should be.
    """
    return _request(_head(event, job_id, seq, trace_id) | _KINDS[event.kind](event, trace_id))


def encode_stand_in(event: NewEvent, job_id: str, seq: int, trace_id: str, why: str) -> bytes:
    """Return, like `encode`, a note in the place of an event that can't be told."""
    note = _stand_in(event.kind, repr(event.body), why)
    return _request({**_head(event, job_id, seq, trace_id), "note": note})


def stand_in(event: event_pb2.Event, why: str) -> event_pb2.Event:
    """Return a note in the place of an event that observability can't take."""
    kind = event.WhichOneof("kind") or ""
    told = event_pb2.Event()
    told.CopyFrom(event)
    told.note.CopyFrom(event_pb2.NoteEvent(**_stand_in(kind, str(getattr(event, kind, "")), why)))
    return told


def to_timestamp(moment: datetime) -> Timestamp:
    """Convert an aware time, exact to the microsecond."""
    return Timestamp(**_time(moment))


def outputs_to_proto(outputs: Sequence[Any]) -> list[job_pb2.Output]:
    """Convert saved outputs."""
    return [job_pb2.Output(**_output(each)) for each in outputs]


def _request(event: Fields) -> bytes:
    request = intake_pb2.RecordEventsRequest()
    request.events.add(**event)
    return request.SerializeToString()


def _head(event: NewEvent, job_id: str, seq: int, trace_id: str) -> Fields:
    return {
        "job_id": job_id,
        "seq": seq,
        "occurred_at": _time(event.occurred_at),
        "attempt": event.attempt,
        "trace_id": trace_id,
    }


def _stand_in(kind: str, body: str, why: str) -> Fields:
    details = {"kind": kind, "body": body[:_SHOWN_CHARS]}
    return {
        "code": "EVENT_UNREADABLE",
        "text": f"the queue could not tell an event: {why}"[:500],
        "details_json": _json(details),
    }


def _step(event: NewEvent, _trace_id: str) -> Fields:
    body = event.body
    failure = body.get("failure")
    step: Fields = {
        "step": STEPS[body["step"]],
        "status": STATUSES[body["status"]],
        "details_json": _json(body["details"]),
        "outputs": [_output(each) for each in body.get("outputs", ())],
    }
    if "facts" in body:
        step["facts"] = body["facts"]
    if failure is not None:
        step["failure"] = {**failure, "at_step": STEPS[failure["at_step"]]}
    return {"step": step}


def _attempt(event: NewEvent, _trace_id: str) -> Fields:
    return {"attempt_change": event.body}


def _ledger(event: NewEvent, _trace_id: str) -> Fields:
    return {"ledger": {**event.body, "kind": LEDGER_KINDS[event.body["kind"]]}}


def _note(event: NewEvent, _trace_id: str) -> Fields:
    body = event.body
    note = {"code": body["code"], "text": body["text"], "details_json": _json(body["details"])}
    if body["completes"]:
        note["completes"] = STEPS[body["completes"]]
    return {"note": note}


def _repeat(event: NewEvent, _trace_id: str) -> Fields:
    return {"repeat": {**event.body, "last_at": _time(event.body["last_at"])}}


def _outputs(event: NewEvent, _trace_id: str) -> Fields:
    return {"outputs": {"outputs": [_output(each) for each in event.body["outputs"]]}}


def _payload(event: NewEvent, trace_id: str) -> Fields:
    body = msgspec.convert(event.body, _Payload)
    payload: Fields = {"info": _payload_info(body, event, trace_id)}
    if body.delivery_id:
        payload["delivery_id"] = body.delivery_id
    elif body.blob_sha256:
        payload["blob_sha256"] = body.blob_sha256
    else:
        payload["body"] = event.content or b""
    return {"payload": payload}


def _payload_info(body: _Payload, event: NewEvent, trace_id: str) -> Fields:
    info: Fields = {
        "payload_id": body.payload_id or body.delivery_id,
        "kind": PAYLOAD_KINDS[body.kind],
        "call": body.call,
        "exchange_id": body.exchange_id or body.delivery_id,
        "attempt": body.attempt,
        "method": body.method,
        "url": body.url,
        "http_status": body.http_status,
        "headers": [{"name": name, "value": value} for name, value in body.headers],
        "occurred_at": _time(body.occurred_at or body.received_at or event.occurred_at),
        "transport": body.transport,
        "transport_error": body.transport_error,
        "bytes": body.bytes,
        "sha256": bytes.fromhex(body.sha256),
        "masked": [{"start": start, "end": end} for start, end in body.masked],
        "content_type": body.content_type,
        "deciding": body.deciding,
        "trace_id": body.trace_id or trace_id,
        "truncated": body.truncated,
    }
    if body.latency_s is not None:
        info["latency"] = _duration(body.latency_s)
    return info


def _output(output: Any) -> Fields:
    return {
        "url": output.url,
        "provider_url": output.provider_url,
        "sha256": output.sha256,
        "bytes": output.bytes,
        "content_type": output.content_type,
        "node_id": output.node_id,
        "text": output.text,
    }


def _time(moment: datetime) -> dict[str, int]:
    since = moment - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    return {"seconds": seconds, "nanos": since.microseconds * 1000}


def _duration(seconds: float) -> dict[str, int]:
    whole = int(seconds)
    return {"seconds": whole, "nanos": int((seconds - whole) * 1e9)}


def _json(details: Details) -> str:
    return msgspec.json.encode(details).decode() if details else ""


_KINDS: Final[Mapping[EventKind, Callable[[NewEvent, str], Fields]]] = {
    EventKind.STEP: _step,
    EventKind.ATTEMPT: _attempt,
    EventKind.LEDGER: _ledger,
    EventKind.NOTE: _note,
    EventKind.PAYLOAD: _payload,
    EventKind.REPEAT: _repeat,
    EventKind.OUTPUTS: _outputs,
}
