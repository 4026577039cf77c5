"""What the state machine writes into the outbox is what observability is told."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from etapa.observability.v1 import event_pb2
from etapa.queue.v1 import credits_pb2, job_pb2
from services.queue.domain import Details, EventKind, NewEvent, SavedOutput, Step
from services.queue.events import encode, encode_stand_in, stand_in, to_timestamp
from services.queue.pack import read_pack

AT = datetime(2026, 11, 24, 12, 0, 0, 999_999, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"
JOB = "0193a000-0000-7000-8000-000000000001"
OUTPUT = SavedOutput("u", "p", "ab" * 32, 1, "image/png", "9")


def tell(
    kind: str, body: Details, content: bytes | None = None, trace_id: str = TRACE
) -> event_pb2.Event:
    event = NewEvent(EventKind(kind), AT, 2, body, content)
    (told,) = read_pack(encode(event, JOB, 5, trace_id))
    return told


def test_the_identity_of_an_event_is_told() -> None:
    told = tell("note", {"code": "X", "text": "t", "details": {}, "completes": ""})
    assert (told.job_id, told.seq, told.attempt) == (JOB, 5, 2)
    assert told.trace_id == TRACE
    assert told.occurred_at.ToDatetime(UTC) == AT


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_of_event_can_be_told(kind: EventKind) -> None:
    bodies: dict[str, Details] = {
        "step": {"step": "queued", "status": "queued", "details": {}},
        "attempt": {"number": 1, "account": "a", "phase": "claimed"},
        "ledger": {"kind": "refund", "amount": 1, "bucket": "monthly", "entry_id": "e"},
        "note": {"code": "X", "text": "t", "details": {}, "completes": "upload"},
        "payload": {"payload_id": "p", "kind": "response"},
        "repeat": {"payload_id": "p", "count": 3, "last_at": AT},
        "outputs": {"outputs": [OUTPUT]},
    }
    assert tell(kind, bodies[kind]).WhichOneof("kind") is not None


def test_details_pass_as_the_text_they_are() -> None:
    details = {"inputs": msgspec.Raw(b'{"seed":9007199254740993,"f":1.50}')}
    told = tell("step", {"step": "insert", "status": "pending", "details": details})
    assert told.step.details_json == '{"inputs":{"seed":9007199254740993,"f":1.50}}'


def test_details_that_say_nothing_are_left_out() -> None:
    body = {"step": "queued", "status": "queued", "details": {}}
    assert tell("step", body).step.details_json == ""


@pytest.mark.parametrize("step", list(Step))
def test_every_step_has_its_number(step: Step) -> None:
    told = tell("step", {"step": step.value, "status": "running", "details": {}})
    assert job_pb2.Step.Name(told.step.step) == f"STEP_{step.name}"


def test_a_failure_is_told_whole() -> None:
    failure = {
        "at_step": "running",
        "error_class": "gpu_oom",
        "message": "CUDA out of memory",
        "evidence_payload_id": "p",
    }
    body = {"step": "failed", "status": "failed", "details": {}, "failure": failure}
    told = tell("step", body)
    assert told.step.failure == event_pb2.Failure(
        at_step=job_pb2.STEP_RUNNING,
        error_class="gpu_oom",
        message="CUDA out of memory",
        evidence_payload_id="p",
    )


def test_a_ledger_entry_is_told_with_its_kind() -> None:
    body = {"kind": "capture", "amount": 60, "bucket": "lifetime", "entry_id": "e"}
    told = tell("ledger", body).ledger
    assert (told.kind, told.amount) == (credits_pb2.LEDGER_KIND_CAPTURE, 60)


def test_an_empty_body_of_a_payload_is_a_body() -> None:
    told = tell("payload", {"payload_id": "p", "kind": "response"}, b"").payload
    assert (told.WhichOneof("content"), told.body) == ("body", b"")


def test_a_large_payload_is_told_by_its_blob() -> None:
    body = {"payload_id": "p", "kind": "response", "blob_sha256": "cd" * 32}
    assert tell("payload", body).payload.blob_sha256 == "cd" * 32


def test_a_callback_is_told_by_its_delivery() -> None:
    body = {"delivery_id": "d", "attempt": 1, "received_at": AT.isoformat(), "event": "TASK_END"}
    told = tell("payload", body).payload
    assert (told.delivery_id, told.info.payload_id, told.info.call) == ("d", "d", "callback")
    assert told.info.occurred_at.ToDatetime(UTC) == AT


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("step", {"step": "nowhere", "status": "queued", "details": {}}),
        ("step", {"status": "queued", "details": {}}),
        ("note", {"code": "X", "text": "lone \ud800", "details": {}, "completes": ""}),
        ("attempt", {"number": "one"}),
        ("attempt", {"nonsense": 1}),
        ("payload", {"payload_id": "p", "kind": "response", "sha256": "zz"}),
        ("payload", {"payload_id": "p", "kind": "response", "headers": [["a"]]}),
    ],
)
def test_an_event_that_is_not_as_it_should_be_gets_a_stand_in(kind: str, body: Details) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        tell(kind, body)
    event = NewEvent(EventKind(kind), AT, 2, body)
    (told,) = read_pack(encode_stand_in(event, JOB, 5, TRACE, "why"))
    assert (told.seq, told.note.code) == (5, "EVENT_UNREADABLE")
    assert msgspec.json.decode(told.note.details_json)["kind"] == kind


def test_a_stand_in_for_a_refused_event_keeps_number_and_body() -> None:
    refused = event_pb2.Event(seq=5, job_id=JOB, ledger=event_pb2.LedgerEvent(bucket="monthly"))
    told = stand_in(refused, "why")
    assert (told.job_id, told.seq, told.note.code) == (JOB, 5, "EVENT_UNREADABLE")
    assert "monthly" in told.note.details_json


def test_times_are_exact_to_the_microsecond() -> None:
    early = datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC)
    assert [to_timestamp(each).ToDatetime(UTC) for each in (AT, early)] == [AT, early]
