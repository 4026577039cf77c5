from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from etapa.observability.v1 import event_pb2, intake_pb2
from etapa.queue.v1 import credits_pb2, job_pb2
from services.observability.chapter import MAX_EVENTS, chapters_of, events_of, stored
from services.observability.domain import Event, Status, Step
from services.observability.store.row import Chapter
from services.observability.wire import (
    STATUS_NUMBERS,
    STEP_NUMBERS,
    UnreadableError,
    ledger_number,
    stamp_of,
    time_of,
)
from services.observability.wire_intake import batch_from, delivery_from
from services.observability.wire_trail import event_to_proto
from services.runtime.errors import InvalidInputError
from tests.support.history import History, completed, delivery, failed, queued

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_statuses_and_steps_have_the_numbers_of_the_contract() -> None:
    for status in Status:
        assert job_pb2.JobStatus.Name(STATUS_NUMBERS[status]) == f"JOB_STATUS_{status.name}"
    for step in Step:
        assert job_pb2.Step.Name(STEP_NUMBERS[step]) == f"STEP_{step.name}"
    for kind in ("grant", "reserve", "capture", "refund"):
        assert credits_pb2.LedgerKind.Name(ledger_number(kind)) == f"LEDGER_KIND_{kind.upper()}"
    assert len(job_pb2.JobStatus.keys()) == len(Status) + 1
    assert len(job_pb2.Step.keys()) == len(Step) + 1


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)))
def test_a_time_survives_the_wire(at: datetime) -> None:
    assert time_of(stamp_of(at)) == at


def test_a_time_outside_the_calendar_is_unreadable() -> None:
    with pytest.raises(UnreadableError):
        time_of(Timestamp(seconds=10**15))


@pytest.mark.parametrize("job", [completed()[0], failed()[0], queued()])
def test_an_event_comes_back_as_it_was_sent_but_for_its_body(job: History) -> None:
    sent = [event_pb2.Event.FromString(each.SerializeToString()) for each in job.events]
    batch = batch_from(intake_pb2.RecordEventsRequest(events=sent), NOW)
    for original, read in zip(job.events, batch.events, strict=True):
        back = stored(read)
        assert (back.job_id, back.seq, back.kind) == (read.job_id, read.seq, read.kind)
        assert back.occurred_at == read.occurred_at
        wanted = event_pb2.Event.FromString(original.SerializeToString())
        wanted.payload.ClearField("content") if wanted.HasField("payload") else None
        assert event_to_proto(back) == wanted


def read(*jobs: History) -> list[Event]:
    """The jobs' events as they are stored, in order of (job_id, seq)."""
    sent = [event for job in jobs for event in job.events]
    events = batch_from(intake_pb2.RecordEventsRequest(events=sent), NOW).events
    return sorted(events, key=lambda each: (each.job_id, each.seq))


def test_chapters_hold_every_event_once_and_in_order() -> None:
    events = read(completed()[0], failed()[0], queued())
    chapters = list(chapters_of(events))
    assert len(chapters) == 3
    back = list(events_of(Chapter(*each[:4], each.body) for each in chapters))
    assert [(each.job_id, each.seq) for each in back] == [(e.job_id, e.seq) for e in events]
    assert [each.message for each in back] == [stored(each).message for each in events]
    letters = "".join(each.kinds for each in chapters)
    assert letters == "".join(each.kind[0] for each in events)


@pytest.mark.parametrize("missing", [0, 2, 5])
def test_a_chapter_ends_where_a_number_is_missing(missing: int) -> None:
    events = read(queued())
    left = events[:missing] + events[missing + 1 :]
    spans = [(each.seq, each.last_seq) for each in chapters_of(left)]
    wanted = [(1, missing), (missing + 2, len(events))]
    assert spans == [(first, last) for first, last in wanted if first <= last]


def test_a_chapter_ends_where_the_trace_changes() -> None:
    job = queued()
    job.events[2].trace_id = "ab" * 16
    assert [(each.seq, each.last_seq) for each in chapters_of(read(job))] == [
        (1, 2),
        (3, 3),
        (4, 6),
    ]


def test_a_chapter_has_no_more_events_than_a_page_may_have() -> None:
    job = queued()
    for _ in range(MAX_EVENTS):
        job.step("running", "running")
    sizes = [each.last_seq - each.seq + 1 for each in chapters_of(read(job))]
    assert sizes == [MAX_EVENTS, 6]


def unreadable(**changes: Any) -> event_pb2.Event:
    event = queued().events[5]
    for name, value in changes.items():
        target, _, field = name.rpartition("__")
        setattr(getattr(event, target) if target else event, field, value)
    return event


@pytest.mark.parametrize(
    "changes",
    [
        {"step__step": 0},
        {"step__status": 88},
        {"step__status": job_pb2.JOB_STATUS_COMPLETED},
        {"step__step": job_pb2.STEP_FAILED},
        {"attempt": -1},
        {"occurred_at__seconds": 10**14},
    ],
)
def test_an_event_without_sense_becomes_a_note_and_a_rejection(changes: dict[str, Any]) -> None:
    event = unreadable(**changes)
    batch = batch_from(intake_pb2.RecordEventsRequest(events=[event]), NOW)
    assert [(job_id, seq) for job_id, seq, _ in batch.rejected] == [(event.job_id, 6)]
    note = stored(batch.events[0]).message.note
    assert (batch.events[0].seq, note.code) == (6, "EVENT_UNREADABLE")
    assert batch.rejected[0][2] in note.text


@pytest.mark.parametrize(
    "kind",
    [
        {"ledger": event_pb2.LedgerEvent(amount=1)},
        {"payload": event_pb2.PayloadEvent(info=event_pb2.PayloadInfo(payload_id="x"))},
        {"payload": event_pb2.PayloadEvent(delivery_id="x")},
        {"repeat": event_pb2.RepeatEvent(count=0)},
        {"attempt_change": event_pb2.AttemptEvent(number=0)},
        {},
    ],
)
def test_each_kind_is_checked(kind: dict[str, Any]) -> None:
    job = queued()
    event = job.add(**kind)
    batch = batch_from(intake_pb2.RecordEventsRequest(events=[event]), NOW)
    assert len(batch.rejected) == 1
    assert batch.events[0].kind == "note"


def test_a_malformed_trace_id_does_not_cost_the_step() -> None:
    event = queued().events[0]
    event.trace_id = "not-hex"
    batch = batch_from(intake_pb2.RecordEventsRequest(events=[event]), NOW)
    assert batch.rejected == []
    assert (batch.events[0].kind, batch.events[0].trace_id) == ("step", None)


@pytest.mark.parametrize("details", ['{"a": "\\u0000"}', '["no object"]', "no json"])
def test_details_that_jsonb_cannot_hold_are_told_whole(details: str) -> None:
    event = queued().events[0]
    event.step.details_json = details
    batch = batch_from(intake_pb2.RecordEventsRequest(events=[event]), NOW)
    assert "_text" in (batch.events[0].details or "")
    assert stored(batch.events[0]).message.step.details_json == details


def test_a_delivery_with_a_malformed_id_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        delivery_from(delivery("x"))
