"""What the state machine writes into the outbox is what observability is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from etapa.observability.v1 import event_pb2
from etapa.queue.v1 import credits_pb2, job_pb2
from services.queue.domain import EventKind, Step
from services.queue.events import stand_in, to_proto, to_timestamp
from services.queue.store_outbox import OutboxEvent
from services.runtime.ids import new_id

AT = datetime(2026, 11, 24, 12, 0, 0, 999_999, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"


def event(kind: str, body: object, content: bytes | None = None, **more: Any) -> OutboxEvent:
    text = body if isinstance(body, str) else msgspec.json.encode(body).decode()
    traceparent = more.get("traceparent", f"00-{TRACE}-b7ad6b7169203331-01")
    return OutboxEvent(1, new_id(), 5, kind, 2, AT, text, content, traceparent)


def test_the_identity_of_an_event_is_told() -> None:
    source = event("note", {"code": "X", "text": "t"})
    told = to_proto(source)
    assert (told.job_id, told.seq, told.attempt) == (str(source.job_id), 5, 2)
    assert told.trace_id == TRACE
    assert told.occurred_at.ToDatetime(UTC) == AT


def test_an_event_without_a_trace_has_none() -> None:
    assert to_proto(event("note", {"code": "X", "text": "t"}, traceparent="")).trace_id == ""


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_of_event_can_be_told(kind: EventKind) -> None:
    bodies: dict[str, object] = {
        "step": {"step": "queued", "status": "queued"},
        "attempt": {"number": 1, "account": "a", "phase": "claimed"},
        "ledger": {"kind": "refund", "amount": 1, "bucket": "monthly", "entry_id": "e"},
        "note": {"code": "X", "text": "t"},
        "payload": {"payload_id": "p", "kind": "response"},
        "repeat": {"payload_id": "p", "count": 3, "last_at": AT.isoformat()},
        "outputs": {"outputs": [{"url": "u"}]},
    }
    assert to_proto(event(kind, bodies[kind])).WhichOneof("kind") is not None


def test_details_pass_as_the_text_they_are() -> None:
    text = '{"step":"insert","status":"pending","details":{"seed":9007199254740993,"f":1.50}}'
    assert to_proto(event("step", text)).step.details_json == '{"seed":9007199254740993,"f":1.50}'


def test_details_that_say_nothing_are_left_out() -> None:
    body = {"step": "queued", "status": "queued", "details": {}}
    assert to_proto(event("step", body)).step.details_json == ""


@pytest.mark.parametrize("step", list(Step))
def test_every_step_has_its_number(step: Step) -> None:
    told = to_proto(event("step", {"step": step.value, "status": "running"}))
    assert job_pb2.Step.Name(told.step.step) == f"STEP_{step.name}"


def test_a_failure_is_told_whole() -> None:
    failure = {
        "at_step": "running",
        "error_class": "gpu_oom",
        "message": "CUDA out of memory",
        "evidence_payload_id": "p",
    }
    told = to_proto(event("step", {"step": "failed", "status": "failed", "failure": failure}))
    assert told.step.failure == event_pb2.Failure(
        at_step=job_pb2.STEP_RUNNING,
        error_class="gpu_oom",
        message="CUDA out of memory",
        evidence_payload_id="p",
    )


def test_a_ledger_entry_is_told_with_its_kind() -> None:
    body = {"kind": "capture", "amount": 60, "bucket": "lifetime", "entry_id": "e"}
    told = to_proto(event("ledger", body)).ledger
    assert (told.kind, told.amount) == (credits_pb2.LEDGER_KIND_CAPTURE, 60)


def test_an_empty_body_of_a_payload_is_a_body() -> None:
    told = to_proto(event("payload", {"payload_id": "p", "kind": "response"}, b"")).payload
    assert (told.WhichOneof("content"), told.body) == ("body", b"")


def test_a_large_payload_is_told_by_its_blob() -> None:
    body = {"payload_id": "p", "kind": "response", "blob_sha256": "cd" * 32}
    assert to_proto(event("payload", body)).payload.blob_sha256 == "cd" * 32


def test_a_callback_is_told_by_its_delivery() -> None:
    body = {"delivery_id": "d", "attempt": 1, "received_at": AT.isoformat(), "event": "TASK_END"}
    told = to_proto(event("payload", body)).payload
    assert (told.delivery_id, told.info.payload_id, told.info.call) == ("d", "d", "callback")
    assert told.info.occurred_at.ToDatetime(UTC) == AT


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("step", {"step": "nowhere", "status": "queued"}),
        ("step", {"status": "queued"}),
        ("note", "not json"),
        ("attempt", {"number": "one"}),
        ("attempt", {"nonsense": 1}),
        ("payload", {"payload_id": "p", "kind": "response", "sha256": "zz"}),
        ("payload", {"payload_id": "p", "kind": "response", "headers": [["a"]]}),
        ("nonsense", {}),
    ],
)
def test_an_unreadable_event_raises_what_the_relay_catches(kind: str, body: object) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        to_proto(event(kind, body))


def test_a_stand_in_keeps_number_and_body() -> None:
    told = stand_in(event("note", "not json"), "why")
    assert (told.seq, told.note.code) == (5, "EVENT_UNREADABLE")
    assert "not json" in told.note.details_json


def test_times_are_exact_to_the_microsecond() -> None:
    early = datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC)
    assert [to_timestamp(each).ToDatetime(UTC) for each in (AT, early)] == [AT, early]
