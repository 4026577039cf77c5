"""Events as they are watched: when a line comes, and what is in it."""

from __future__ import annotations

from etapa.observability.v1 import event_pb2
from etapa.queue.v1 import job_pb2
from etapa_client.words import Language
from services.cli.event_view import EventLines, event_to_json
from tests.support.history import History, completed, failed


def lines_of(events: list[event_pb2.Event], *, eager: bool = False) -> list[list[str]]:
    lines = EventLines(Language.EN, eager=eager)
    return [[line.plain for line in lines.take(event)] for event in events]


def test_a_step_is_written_when_it_has_ended_with_its_duration() -> None:
    job = History()
    job.step("upload", "pending", fileName="a.jpg")
    job.step("insert", "pending")
    assert lines_of(job.events[:1]) == [[]]
    [line] = lines_of(job.events)[1]
    assert "upload" in line
    assert "100 ms" in line
    assert "fileName=a.jpg" in line


def test_eager_lines_come_at_once_without_a_duration() -> None:
    job = History()
    job.step("upload", "pending")
    [[line]] = lines_of(job.events, eager=True)
    assert "Image upload" in line
    assert "ms" not in line


def test_every_step_is_written_once_and_the_last_at_once() -> None:
    job, _ = completed()
    for eager in (False, True):
        written = [line for lines in lines_of(job.events, eager=eager) for line in lines]
        codes = [line.split()[2] for line in written]
        assert codes == [
            "upload",
            "insert",
            "credits",
            "queue_check",
            "queued",
            "starting",
            "running",
            "webhook_received",
            "completed",
        ]


def test_a_note_stands_after_the_step_that_it_is_about() -> None:
    job = History()
    job.step("starting", "starting", 1)
    job.add(1, note=event_pb2.NoteEvent(code="ACCOUNT_FULL", text="the account\nis full"))
    job.step("running", "running", 1)
    written = [line for lines in lines_of(job.events) for line in lines]
    assert "starting" in written[0]
    assert "ACCOUNT_FULL" in written[1]
    assert "the account is full" in written[1]


def test_facts_that_complete_a_step_are_told_with_it() -> None:
    job = History()
    job.step("upload", "pending", fileName="a.jpg")
    job.add(
        note=event_pb2.NoteEvent(
            code="MEDIA_STORED",
            text="stored",
            details_json='{"bytes":7}',
            completes=job_pb2.STEP_UPLOAD,
        )
    )
    job.step("insert", "pending")
    step, note = (line for lines in lines_of(job.events) for line in lines)
    assert step.endswith("fileName=a.jpg  bytes=7")
    assert note.endswith("stored")
    eager = [line for lines in lines_of(job.events, eager=True) for line in lines]
    assert eager[1].endswith("stored  bytes=7")


def test_what_waits_for_the_end_of_a_step_is_not_lost() -> None:
    job = History()
    job.step("running", "running", 1)
    lines = EventLines(Language.EN)
    assert list(lines.take(job.events[0])) == []
    [rest] = lines.rest()
    assert "running" in rest.plain
    assert list(lines.rest()) == []


def test_the_end_is_known_from_the_events() -> None:
    job, _ = failed()
    lines = EventLines(Language.EN)
    for event in job.events:
        list(lines.take(event))
    assert lines.is_final


def test_every_kind_of_event_is_an_object_with_its_number() -> None:
    job, _ = completed()
    job.add(note=event_pb2.NoteEvent(code="X", text="y"))
    job.add(repeat=event_pb2.RepeatEvent(payload_id="p", count=2))
    objects = [event_to_json(event) for event in job.events]
    assert [each["seq"] for each in objects] == list(range(1, len(job.events) + 1))
    kinds = {each["kind"] for each in objects}
    assert kinds == {"step", "ledger", "attempt", "payload", "note", "repeat"}
    assert objects[0]["step"] == "upload"
    assert objects[0]["details"]["fileName"] == "photo.jpg"
