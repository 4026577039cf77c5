"""What callers send is checked field by field before anything is done with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from etapa.queue.v1 import credits_pb2, job_pb2, queue_pb2
from services.queue import mapping, mapping_create, mapping_operations
from services.queue.domain import BadRequestError
from services.runtime.ids import InvalidIdError, new_id
from tests.support.queue_server import submission

ADJUSTMENT = queue_pb2.Adjustment(field="resolution", given="8192", sent="2048", why="the most")


def adjust(ready: queue_pb2.Submission, **spoilt: str) -> None:
    ready.adjustments.append(ADJUSTMENT)
    for name, value in spoilt.items():
        setattr(ready.adjustments[-1], name, value)


def full_submission() -> queue_pb2.Submission:
    """Return a submission in which every field says something."""
    ready = submission()
    ready.instance_type = "plus"
    ready.nodes.append(job_pb2.Node(node_id="2", field_name="url", media_url="image"))
    ready.media[0].duration_s = 1.5
    ready.adjustments.append(ADJUSTMENT)
    return ready


def each_field(message: Message) -> Iterator[tuple[Message, FieldDescriptor]]:
    for descriptor, value in message.ListFields():
        yield message, descriptor
        if descriptor.message_type is not None:
            for inner in value:
                yield from each_field(inner)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"request_id": ""}, "request_id"),
        ({"request_id": "r" * 129}, "request_id"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "a\x00b"}, "user_id"),
        ({"tool": ""}, "tool"),
        ({"caller": "c" * 129}, "caller"),
        ({"input_json": ""}, "input_json"),
        ({"input_json": "[]"}, "input_json"),
        ({"input_json": '{"a": NaN}'}, "input_json"),
        ({"input_json": '{"a": 1e999}'}, "input_json"),
        ({"input_json": '{"a": 1, "a": 2}'}, "input_json"),
        ({"input_json": '{"a": ' + "[" * 50_000 + "]" * 50_000 + "}"}, "input_json"),
        ({"input_json": '{"a":"' + "x" * 300_000 + '"}'}, "input_json"),
        ({"file_names": {str(n): "x" for n in range(21)}}, "file_names"),
    ],
)
def test_a_wrong_field_of_a_new_job_is_named(fields: dict[str, Any], field: str) -> None:
    good = {"request_id": "r", "user_id": "ana", "tool": "upscaler", "input_json": "{}"}
    with pytest.raises(BadRequestError) as refused:
        mapping_create.create_from(queue_pb2.CreateJobRequest(**{**good, **fields}), "")
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (lambda s: s.ClearField("nodes"), "ready.nodes"),
        (lambda s: s.nodes[0].ClearField("value"), "ready.nodes.value"),
        (lambda s: setattr(s.nodes[0], "media_file", "other"), "ready.nodes"),
        (lambda s: setattr(s.nodes[1], "text", "a\x00"), "ready.nodes.text"),
        (lambda s: setattr(s, "webapp_id", "12a"), "ready.webapp_id"),
        (lambda s: setattr(s, "instance_type", "huge"), "ready.instance_type"),
        (lambda s: setattr(s.media[0], "sha256", "AB" * 32), "ready.media.sha256"),
        (lambda s: setattr(s.media[0], "bytes", 0), "ready.media.bytes"),
        (lambda s: s.media.append(s.media[0]), "ready.media.name"),
        (lambda s: s.adjustments.extend([ADJUSTMENT] * 101), "ready.adjustments"),
        (lambda s: adjust(s, field=""), "ready.adjustments.field"),
        (lambda s: adjust(s, given="g" * 65_537), "ready.adjustments.given"),
        (lambda s: adjust(s, sent="a\x00"), "ready.adjustments.sent"),
        (lambda s: adjust(s, why="w" * 1001), "ready.adjustments.why"),
    ],
)
def test_a_wrong_field_of_a_submission_is_named(spoil: Any, field: str) -> None:
    ready = submission()
    spoil(ready)
    with pytest.raises(BadRequestError) as refused:
        mapping_create.submission_from(ready)
    assert refused.value.field == field


def test_the_full_submission_has_every_field_there_is() -> None:
    filled = {descriptor.full_name for _, descriptor in each_field(full_submission())}
    kinds = (queue_pb2.Submission, queue_pb2.Adjustment, job_pb2.Node, job_pb2.Media)
    assert filled == {field.full_name for kind in kinds for field in kind.DESCRIPTOR.fields}


def test_no_field_of_a_submission_is_left_unread() -> None:
    read = mapping_create.submission_from(full_submission())
    for place in range(len(list(each_field(full_submission())))):
        ready = full_submission()
        message, descriptor = list(each_field(ready))[place]
        message.ClearField(descriptor.name)
        try:
            assert mapping_create.submission_from(ready) != read, descriptor.full_name
        except BadRequestError:
            continue  # read, and missed


def test_a_submission_on_no_particular_machine_runs_on_the_usual_one() -> None:
    assert mapping_create.submission_from(submission()).instance_type == "default"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"error_class": ""}, "rejected.error_class"),
        ({"message": ""}, "rejected.message"),
        ({"message": "a\x00"}, "rejected.message"),
        ({"details": {"k": "v" * 1001}}, "rejected.details"),
    ],
)
def test_a_wrong_field_of_a_rejection_is_named(fields: dict[str, Any], field: str) -> None:
    good = {"error_class": "bad_media", "message": "no"}
    with pytest.raises(BadRequestError) as refused:
        mapping_create.rejection_from(new_id(), queue_pb2.MediaRejection(**{**good, **fields}))
    assert refused.value.field == field


@pytest.mark.parametrize("field", ["token_hash", "body_sha256", "received_at"])
def test_a_callback_without_its_marks_is_refused(field: str) -> None:
    told = queue_pb2.Callback(
        delivery_id=str(new_id()), token_hash=bytes(32), body_sha256=bytes(32)
    )
    told.received_at.GetCurrentTime()
    told.ClearField(field)  # type: ignore[arg-type]  # one of its own fields
    with pytest.raises(BadRequestError):
        mapping.callbacks_from(queue_pb2.ReportCallbacksRequest(callbacks=[told]))


def test_a_callback_from_beyond_the_calendar_is_refused() -> None:
    told = queue_pb2.Callback(
        delivery_id=str(new_id()), token_hash=bytes(32), body_sha256=bytes(32)
    )
    told.received_at.seconds = 10**15
    with pytest.raises(BadRequestError):
        mapping.callbacks_from(queue_pb2.ReportCallbacksRequest(callbacks=[told]))


def test_more_callbacks_than_a_batch_holds_are_refused() -> None:
    with pytest.raises(BadRequestError):
        mapping.callbacks_from(
            queue_pb2.ReportCallbacksRequest(callbacks=[queue_pb2.Callback()] * 501)
        )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"request_id": ""}, "request_id"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "a\x00"}, "user_id"),
        ({"amount": 0}, "amount"),
        ({"amount": -5}, "amount"),
        ({"amount": 1_000_000_001}, "amount"),
        ({"bucket": "weekly"}, "bucket"),
    ],
)
def test_a_wrong_field_of_a_grant_is_named(fields: dict[str, Any], field: str) -> None:
    good = {"request_id": "a", "user_id": "ana", "amount": 1}
    with pytest.raises(BadRequestError) as refused:
        mapping_operations.grant_from(credits_pb2.GrantCreditsRequest(**{**good, **fields}))
    assert refused.value.field == field


def test_a_ledger_of_nobody_and_nothing_is_refused() -> None:
    with pytest.raises(BadRequestError):
        mapping_operations.ledger_filter_from(credits_pb2.ListLedgerRequest())


def test_a_ledger_of_no_possible_job_is_refused() -> None:
    with pytest.raises(InvalidIdError):
        mapping_operations.ledger_filter_from(credits_pb2.ListLedgerRequest(job_id="x"))
