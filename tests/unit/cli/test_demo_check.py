"""The demo's own judgement: a right story passes, and each defect is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest
from PIL import Image, ImageOps

from etapa.observability.v1 import trail_pb2
from etapa.queue.v1 import credits_pb2, job_pb2
from services.cli.demo import demo_places, demo_settings
from services.cli.demo_check import (
    COMPLETED_STEPS,
    FAILED_STEPS,
    OutputFile,
    check_completed,
    check_out_of_memory,
)
from services.cli.demo_media import VIDEO_S, write_media
from services.cli.demo_output import OutputError, dimensions
from services.cli.demo_sql import statement_for
from services.cli.story import Story
from services.cli.timeline import DETAIL_KEYS
from tests.support.trails import JOB_ID, OOM_WORDS, at, failed_job, failed_trail, step

FILE = OutputFile("out.png", 5, 200, 100, "ab")
INPUT = (100, 50)


def steps_of(names: tuple[str, ...]) -> list[trail_pb2.StepRecord]:
    return [
        step(
            number, name, number * 0.1, "{" + ",".join(f'"{k}":1' for k in DETAIL_KEYS[name]) + "}"
        )
        for number, name in enumerate(names, 1)
    ]


def ledger_of(*kinds: str) -> list[trail_pb2.LedgerRecord]:
    return [
        trail_pb2.LedgerRecord(
            kind=credits_pb2.LedgerKind.Value(f"LEDGER_KIND_{kind.upper()}"), amount=60
        )
        for kind in kinds
    ]


def completed_story() -> Story:
    job = job_pb2.Job(
        job_id=JOB_ID,
        status=job_pb2.JOB_STATUS_COMPLETED,
        created_at=at(0.1),
        completed_at=at(0.9),
        outputs=[job_pb2.Output(url="http://x/out.png", sha256="ab", bytes=5)],
        seq=12,
    )
    trail = trail_pb2.GetTrailResponse(
        job=trail_pb2.JobSummary(job_id=JOB_ID),
        steps=steps_of(COMPLETED_STEPS),
        ledger=ledger_of("reserve", "capture"),
        through_seq=12,
    )
    return Story(trail, job)


def failed_story() -> Story:
    trail = failed_trail()
    del trail.steps[:]
    trail.steps.extend(steps_of(FAILED_STEPS))
    return Story(trail, failed_job())


def check(story: Story, *files: OutputFile) -> list[str]:
    return check_completed(story, files or (FILE,), INPUT, must_grow=True)


def test_a_job_as_it_should_be_has_no_problem() -> None:
    assert check(completed_story()) == []
    assert check_out_of_memory(failed_story()) == []


def _lose_step(story: Story) -> None:
    del story.trail.steps[4]


def _lose_detail(story: Story) -> None:
    story.trail.steps[2].details_json = '{"cost": 60}'


def _turn_back(story: Story) -> None:
    story.trail.steps[5].timestamp.CopyFrom(at(0.3))


def _end_before(story: Story) -> None:
    assert story.job is not None
    story.job.completed_at.CopyFrom(at(0.5))


def _lag(story: Story) -> None:
    assert story.job is not None
    story.job.seq = 13


def _keep_charge(story: Story) -> None:
    del story.trail.ledger[1:]


def _fail(story: Story) -> None:
    assert story.job is not None
    story.job.status = job_pb2.JOB_STATUS_FAILED


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_lose_step, "its steps are upload insert credits queue_check starting"),
        (_lose_detail, "the details of credits lack newBalance"),
        (_turn_back, "do not run forward"),
        (_end_before, "do not run forward"),
        (_lag, "1 events have not arrived"),
        (_keep_charge, "its ledger says"),
        (_fail, "it is failed, not completed"),
    ],
)
def test_each_defect_of_a_completed_job_is_named(spoil: Callable[[Story], None], said: str) -> None:
    story = completed_story()
    spoil(story)
    assert any(said in problem for problem in check(story)), check(story)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (OutputFile("o", 5, 100, 50, "ab"), "no more than its input's"),
        (OutputFile("o", 5, 200, 50, "ab"), "no more than its input's"),
        (OutputFile("o", 5, 200, 100, "cd"), "is not the file that was stored"),
        (OutputFile("o", 6, 200, 100, "ab"), "is not the file that was stored"),
    ],
)
def test_a_file_that_is_not_the_result_is_named(file: OutputFile, said: str) -> None:
    assert any(said in problem for problem in check(completed_story(), file))


def test_a_job_without_files_is_no_success() -> None:
    assert check_completed(completed_story(), [], INPUT, must_grow=False) != []


def _other_class(story: Story) -> None:
    story.trail.verdict.error_class = "unknown"


def _other_step(story: Story) -> None:
    assert story.job is not None
    story.job.failed_at_step = job_pb2.STEP_WEBHOOK_RECEIVED


def _mask_words(story: Story) -> None:
    story.trail.verdict.provider_words = "Something went wrong"


def _mask_message(story: Story) -> None:
    assert story.job is not None
    story.job.error_message = "Something went wrong"


def _no_side(story: Story) -> None:
    story.trail.verdict.side = trail_pb2.SIDE_UNSPECIFIED


def _no_advice(story: Story) -> None:
    story.trail.verdict.advice.pt = ""


def _keep_credits(story: Story) -> None:
    story.trail.verdict.returned = 0


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_other_class, "class is 'unknown'"),
        (_other_step, "failed_at_step is 'webhook_received'"),
        (_mask_words, "the provider's words do not hold CUDA's own words"),
        (_mask_message, "error_message do not hold CUDA's own words"),
        (_no_side, "names no side"),
        (_no_advice, "has no advice"),
        (_keep_credits, "0 of 60 credits came back"),
        (_lose_step, "its steps are"),
    ],
)
def test_each_defect_of_the_diagnosis_is_named(spoil: Callable[[Story], None], said: str) -> None:
    story = failed_story()
    assert OOM_WORDS in story.error_message
    spoil(story)
    problems = check_out_of_memory(story)
    assert any(said in problem for problem in problems), problems


def test_the_media_are_real_and_all_different(tmp_path: Path) -> None:
    paths = write_media(tmp_path)
    assert len({path.read_bytes() for path in paths.values()}) == len(paths)
    for name in ("photo", "pose", "clothing", "heavy"):
        with Image.open(paths[name]) as image:
            assert image.format == "JPEG"
            assert ImageOps.exif_transpose(image).size == (640, 800)
            colours = image.convert("RGB").resize((64, 64)).getcolors(64 * 64)
            assert colours is not None
            assert len(colours) > 1000, "a flat drawing, no photo"
    with av.open(str(paths["video"])) as video:
        stream = video.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.frames == VIDEO_S * 24
    assert dimensions(paths["video"]) == (480, 270)


def test_what_is_no_media_is_no_output(tmp_path: Path) -> None:
    for name in ("a.png", "a.mp4"):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(OutputError, match="is no image or video"):
            dimensions(tmp_path / name)


def test_the_demo_never_meets_an_etapa_in_earnest(tmp_path: Path) -> None:
    env = {
        "ETAPA_HOME": str(tmp_path),
        "ETAPA_DATABASE_URL": "postgres://prod/etapa",
        "ETAPA_QUEUE_ACCOUNTS": "[]",
        "ETAPA_PUBLIC_URL": "https://etapa.example",
        "RUNNINGHUB_API_KEY": "k" * 32,
        "ETAPA_QUEUE_ADDRESS": "prod:50051",
        "ETAPA_QUEUE_LISTEN": "127.0.0.1:6001",
    }
    settings = demo_settings(env)
    assert settings.database_url == ""
    assert settings.accounts == ""
    assert settings.public_url == ""
    assert settings.has("emulator")
    assert settings.home == tmp_path / "demo"
    assert "RUNNINGHUB_API_KEY" not in settings.env
    assert demo_places(settings).queue == "127.0.0.1:6001"


def test_the_emulators_speed_can_be_set() -> None:
    assert demo_settings({}).env["ETAPA_EMULATOR_TIME_SCALE"] == "0.05"
    slow = demo_settings({"ETAPA_EMULATOR_TIME_SCALE": "1"})
    assert slow.env["ETAPA_EMULATOR_TIME_SCALE"] == "1"


def test_the_statement_is_one_line_that_psql_takes() -> None:
    assert statement_for(JOB_ID) == (
        "SELECT id, status, current_step, failed_at_step, error_message, step_history, "
        "raw_api_response, raw_webhook_payload, created_at, started_at, completed_at "
        f"FROM upscaler_jobs WHERE id = '{JOB_ID}' ORDER BY created_at DESC LIMIT 1;"
    )
    with pytest.raises(ValueError, match="badly formed"):
        statement_for("x'; DROP TABLE jobs; --")
