from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etapa.observability.v1 import event_pb2, intake_pb2
from etapa.queue.v1 import job_pb2
from services.observability.chapter import stored
from services.observability.domain import Event
from services.observability.fold import Folded, Projection, bare_url, fold, fold_attempts
from services.observability.wire import attempt_change, change_of
from services.observability.wire_intake import batch_from
from tests.support.history import START, History, completed, failed, queued, running

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def read(job: History) -> list[Event]:
    copies = [event_pb2.Event.FromString(each.SerializeToString()) for each in job.events]
    batch = batch_from(intake_pb2.RecordEventsRequest(events=copies), NOW)
    assert batch.rejected == []
    return batch.events


def folded(events: list[Event]) -> tuple[Projection, Folded]:
    job, effects = Projection(events[0].job_id), Folded()
    fold(job, events, effects)
    return job, effects


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_folding_in_any_batches_of_any_order_gives_one_projection(data: st.DataObject) -> None:
    """The store keeps what is behind a gap, so each batch is followed by all that is stored."""
    events = read(data.draw(st.sampled_from([completed()[0], failed()[0], running()])))
    wanted, wanted_effects = folded(events)
    order = data.draw(st.permutations(events + events[:4]))
    job, effects, stored = Projection(events[0].job_id), Folded(), dict[int, Event]()
    while order:
        size = data.draw(st.integers(1, 6))
        batch = {each.seq: each for each in order[:size] if each.seq not in stored}
        order = order[size:]
        stored |= batch
        fold(job, [batch[seq] for seq in sorted(batch)], effects)
        fold(job, [stored[seq] for seq in sorted(stored) if seq > job.through_seq], effects)
    assert job == wanted
    assert effects.keys == wanted_effects.keys
    assert len(effects.steps) == len(wanted_effects.steps)


def test_events_behind_a_gap_do_not_show() -> None:
    events = read(running())
    job, effects = folded(events[:4] + events[5:])
    assert (job.through_seq, job.max_seq, job.current_step) == (4, len(events), "credits")
    assert len(effects.steps) == 3


def test_started_is_the_first_start_and_completed_the_first_end() -> None:
    history = running()
    started = START + timedelta(milliseconds=700)
    history.step("queued", "queued", 1, position=1)
    history.step("starting", "starting", 2)
    history.step("cancelled", "cancelled", 2)
    history.step("failed", "failed", 2)
    job, _ = folded(read(history))
    assert (job.started_at, job.status, job.failed_at_step) == (started, "cancelled", None)
    assert job.completed_at == START + timedelta(milliseconds=100 * (len(history.events) - 1))


def test_a_failure_that_does_not_say_where_lies_at_the_last_step() -> None:
    history = running()
    history.step("failed", "failed", 1)
    job, _ = folded(read(history))
    assert (job.failed_at_step, job.error_class, job.error_message) == ("running", "unknown", "")


def test_a_failure_cannot_lie_at_an_end() -> None:
    history = queued()
    history.step(
        "failed",
        "failed",
        failure=event_pb2.Failure(at_step=job_pb2.STEP_FAILED, error_class="internal"),
    )
    assert folded(read(history))[0].failed_at_step == "queued"


def test_a_new_attempt_forgets_the_task_of_the_last_one_but_finds_both() -> None:
    history = running()
    first = history.task_id
    for phase, task_id in (("claimed", ""), ("accepted", "4242")):
        history.add(
            2,
            attempt_change=event_pb2.AttemptEvent(
                number=2, account="spare", phase=phase, task_id=task_id
            ),
        )
    events = read(history)
    assert folded(events[:-1])[0].task_id == ""
    job, effects = folded(events)
    assert (job.attempt, job.account, job.task_id) == (2, "spare", "4242")
    kinds = [kind for _, _, kind in effects.keys]
    assert kinds.count("task_id") == 2
    assert first != "4242"


def test_a_late_change_of_an_old_attempt_changes_nothing() -> None:
    history = running()
    history.add(2, attempt_change=event_pb2.AttemptEvent(number=2, account="b", phase="claimed"))
    history.change("ended", outcome="abandoned", task_id="old")
    job, _ = folded(read(history))
    assert (job.attempt, job.account, job.task_id) == (2, "b", "")


def test_attempts_keep_the_first_time_of_each_phase() -> None:
    changes = [
        (START + timedelta(seconds=number), attempt_change(each.attempt_change))
        for number, each in enumerate(completed()[0].events)
        if each.HasField("attempt_change")
    ]
    attempt = fold_attempts(changes + changes)[0]
    assert list(attempt.times) == ["claimed", "submitting", "accepted", "ended"]
    assert (attempt.outcome, attempt.coins, attempt.account) == ("succeeded", "3", "main")


def test_a_change_survives_its_packing() -> None:
    for event in read(completed()[0]):
        kind, unpacked = change_of(stored(event).message)
        assert kind is event.kind
        if event.kind != "payload":
            assert unpacked == event.change


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://a.example/x.png?sig=1#top", "https://a.example/x.png"),
        ("https://a.example/x.png", "https://a.example/x.png"),
        ("https://[broken/x?y", "https://[broken/x?y"),
    ],
)
def test_a_url_is_kept_without_what_expires(url: str, bare: str) -> None:
    assert bare_url(url) == bare


def test_a_projection_of_nothing_has_no_phase() -> None:
    assert Projection(UUID(int=0)).phase is None
