from __future__ import annotations

from datetime import timedelta

import pytest

from etapa.observability.v1 import trail_pb2
from etapa.queue.v1 import job_pb2, queue_pb2
from etapa_client.words import Language
from services.console.card import card_of, money_of, position_of, stages_of
from services.console.story import Story
from tests.support.trails import JOB_ID, OOM_WORDS, T0, at, failed_job, failed_trail, step


def queued(position: int) -> job_pb2.Job:
    return job_pb2.Job(
        job_id=JOB_ID,
        status=job_pb2.JOB_STATUS_QUEUED,
        current_step=job_pb2.STEP_QUEUED,
        position=position,
        cost=60,
        created_at=at(0),
    )


def states(story: Story) -> list[str]:
    return [stage.state for stage in stages_of(story, Language.PT)]


def test_a_failed_card_says_where_what_and_what_now() -> None:
    card = card_of(Story(JOB_ID, failed_job(), failed_trail()), Language.PT, T0)
    assert card.title == "Erro no processamento"
    assert card.failed_label == "Processando com IA"
    assert card.message == OOM_WORDS
    assert card.advice == "Tente um arquivo menor."
    assert (card.money, card.credits) == ("returned", 60)


def test_the_dots_show_where_it_failed() -> None:
    assert states(Story(JOB_ID, failed_job(), failed_trail())) == [
        "done",
        "done",
        "done",
        "done",
        "failed",
        "ahead",
    ]


def test_the_dots_show_where_a_cancelled_job_stood() -> None:
    job = job_pb2.Job(
        job_id=JOB_ID,
        status=job_pb2.JOB_STATUS_CANCELLED,
        current_step=job_pb2.STEP_CANCELLED,
    )
    steps = [step(1, "upload", 0), step(2, "credits", 1), step(3, "cancelled", 2)]
    trail = trail_pb2.GetTrailResponse(steps=steps)
    assert states(Story(JOB_ID, job, trail))[:3] == ["done", "stopped", "ahead"]


@pytest.mark.parametrize(("place", "shown"), [(1, "#1"), (1000, "#1000"), (1001, "1000+")])
def test_positions_beyond_a_thousand_are_not_counted(place: int, shown: str) -> None:
    assert position_of(queued(place)) == shown


def test_who_does_not_wait_has_no_position() -> None:
    assert position_of(failed_job()) == ""
    assert position_of(None) == ""


@pytest.mark.parametrize(
    ("place", "waited_s", "busy"), [(1, 5, False), (2, 5, True), (1, 31, True)]
)
def test_a_long_wait_is_spoken_of(place: int, waited_s: float, busy: bool) -> None:
    card = card_of(Story(JOB_ID, queued(place)), Language.PT, T0 + timedelta(seconds=waited_s))
    assert card.is_busy is busy


def test_the_reason_for_waiting_is_told_in_the_readers_language() -> None:
    why = queue_pb2.WhyWaitingResponse(sentence_pt="sem vagas", sentence_en="no slots")
    story = Story(JOB_ID, queued(1), why=why)
    assert card_of(story, Language.PT, T0).why == "sem vagas"
    assert card_of(story, Language.EN, T0).why == "no slots"


def test_nothing_is_said_of_money_before_the_ledger_has_arrived() -> None:
    assert money_of(Story(JOB_ID, failed_job())) == ("", 0)
    behind = failed_trail()
    behind.ClearField("verdict")
    behind.through_seq = 17
    assert money_of(Story(JOB_ID, failed_job(18), behind)) == ("", 0)


def test_money_of_open_and_completed_jobs() -> None:
    assert money_of(Story(JOB_ID, queued(1))) == ("held", 60)
    done = job_pb2.Job(job_id=JOB_ID, status=job_pb2.JOB_STATUS_COMPLETED, cost=60)
    assert money_of(Story(JOB_ID, done)) == ("charged", 60)


def test_the_queue_is_believed_for_status_and_the_rest_is_on_its_way() -> None:
    story = Story(JOB_ID, failed_job(seq=21), failed_trail())
    assert (story.status, story.arriving, story.seq) == ("failed", 3, 21)
