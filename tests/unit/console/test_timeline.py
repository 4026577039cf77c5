from __future__ import annotations

from datetime import timedelta

from etapa.observability.v1 import trail_pb2
from etapa.queue.v1 import job_pb2
from etapa_client.words import Language
from services.console.story import Story
from services.console.timeline import LEAST_WIDTH, SCALE, rows_of, spans_of
from tests.support.trails import JOB_ID, OOM_WORDS, T0, at, failed_job, failed_trail, step

NOW = T0 + timedelta(seconds=1000)
FAILED = Story(JOB_ID, failed_job(), failed_trail())


def running(now_s: float = 20.0) -> tuple[Story, timedelta]:
    job = job_pb2.Job(
        job_id=JOB_ID,
        status=job_pb2.JOB_STATUS_RUNNING,
        current_step=job_pb2.STEP_RUNNING,
        created_at=at(0),
        seq=9,
    )
    steps = [step(1, "upload", 0), step(2, "running", 10)]
    trail = trail_pb2.GetTrailResponse(steps=steps, through_seq=2)
    return Story(JOB_ID, job, trail), timedelta(seconds=now_s)


def test_a_row_lasts_until_the_next_and_an_end_lasts_nothing() -> None:
    rows = rows_of(FAILED, Language.PT, NOW)
    lasted = {row.step: row.lasted_s for row in rows}
    assert round(lasted["running"] or 0, 1) == 48.2
    assert round(lasted["queued"] or 0) == 192
    assert lasted["failed"] is None


def test_bars_share_one_scale_and_stay_on_it() -> None:
    rows = rows_of(FAILED, Language.PT, NOW)
    for row in rows:
        assert 0 <= row.x <= SCALE
        assert LEAST_WIDTH <= row.width <= SCALE - row.x + 0.1
    assert max(rows, key=lambda row: row.width).step == "queued"
    assert [row.x for row in rows] == sorted(row.x for row in rows)


def test_the_row_of_the_cause_is_marked_and_says_the_providers_words() -> None:
    rows = rows_of(FAILED, Language.PT, NOW)
    culprits = [row for row in rows if row.words]
    assert [(row.step, row.tone, row.label) for row in culprits] == [
        ("running", "failure", "Processando com IA")
    ]
    assert culprits[0].words == OOM_WORDS


def test_tones_tell_whose_time_it_is() -> None:
    tones = {row.step: row.tone for row in rows_of(FAILED, Language.PT, NOW)}
    assert tones["starting"] == "provider"
    assert tones["queued"] == tones["webhook_received"] == "ours"
    assert tones["failed"] == "failure"


def test_notes_and_money_stand_beside_the_step_during_which_they_happened() -> None:
    rows = {row.step: row for row in rows_of(FAILED, Language.PT, NOW)}
    assert [note.code for note in rows["starting"].notes] == ["ACCOUNT_FULL"]
    assert rows["starting"].notes[0].text == "conta cheia no provedor"
    assert rows["credits"].money == -60
    assert rows["failed"].money == 60


def test_a_refund_that_is_numbered_before_the_end_still_stands_beside_it() -> None:
    trail = failed_trail()
    trail.ledger[1].seq = 16
    rows = {row.step: row for row in rows_of(Story(JOB_ID, None, trail), Language.PT, NOW)}
    assert (rows["webhook_received"].money, rows["failed"].money) == (0, 60)


def test_a_routine_note_is_no_headline() -> None:
    trail = failed_trail()
    trail.notes.add(seq=2, code="MEDIA_STORED", text="stored")
    rows = {row.step: row for row in rows_of(Story(JOB_ID, None, trail), Language.PT, NOW)}
    assert (len(rows["upload"].notes), rows["upload"].headline) == (1, "")
    assert rows["starting"].headline == "conta cheia no provedor"


def test_a_note_without_a_text_here_keeps_the_queues_own_sentence() -> None:
    trail = failed_trail()
    trail.notes[0].code = "BRAND_NEW"
    rows = {row.step: row for row in rows_of(Story(JOB_ID, None, trail), Language.PT, NOW)}
    assert rows["starting"].notes[0].text == "the account is full (421)"


def test_of_many_notes_a_few_are_shown_and_the_rest_counted() -> None:
    trail = failed_trail()
    trail.notes.extend([trail.notes[0]] * 9)
    rows = {row.step: row for row in rows_of(Story(JOB_ID, None, trail), Language.PT, NOW)}
    assert (len(rows["starting"].notes), rows["starting"].left_notes) == (4, 6)


def test_an_open_step_grows_until_now() -> None:
    story, passed = running(20.0)
    rows = rows_of(story, Language.EN, T0 + passed)
    assert rows[-1].is_open
    assert rows[-1].lasted_s == 10.0
    assert (rows[-1].x, rows[-1].width) == (500.0, 500.0)


def test_a_clock_behind_the_queues_makes_no_negative_bar() -> None:
    story, _ = running()
    rows = rows_of(story, Language.EN, T0)
    assert rows[-1].lasted_s == 0.0
    assert rows[-1].width == LEAST_WIDTH


def test_sums_count_every_visit_to_a_step() -> None:
    trail = trail_pb2.GetTrailResponse(
        steps=[
            step(1, "queued", 0),
            step(2, "starting", 5),
            step(3, "queued", 7),
            step(4, "running", 10),
            step(5, "completed", 30),
        ],
        job=trail_pb2.JobSummary(
            status=job_pb2.JOB_STATUS_COMPLETED, created_at=at(0), completed_at=at(30)
        ),
    )
    spans = spans_of(Story(JOB_ID, None, trail), NOW)
    assert (spans.queued_s, spans.provider_s, spans.total_s) == (8.0, 22.0, 30.0)


def test_without_a_history_there_are_no_rows() -> None:
    assert rows_of(Story(JOB_ID, failed_job()), Language.PT, NOW) == ()
    assert spans_of(Story(JOB_ID, failed_job()), NOW).queued_s is None
