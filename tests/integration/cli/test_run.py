"""`etapa run` and `retry`: what is sent, what is printed, and how the command ends."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from etapa.queue.v1 import job_pb2
from tests.support.cli_world import World, run_etapa, start_etapa, until_ended, when
from tests.support.history import OOM_WORDS, completed, failed, running
from tests.support.servicers_cli import BusyError
from tests.support.sockets import free_port

PROMISED_JOB = (
    "id tool user_id status current_step failed_at_step error_message position created_at "
    "started_at completed_at outputs trace_id"
)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"bytes of a photo")
    return path


async def test_media_and_parameters_arrive_as_they_were_typed(world: World, photo: Path) -> None:
    job, _ = completed()
    world.tools.job = world.put(job, "queued", position=3)
    done = await world.etapa(
        *("run", "upscaler", "--image", str(photo), "--param", "resolution=1024"),
        *("--user", "ana", "--request-id", "r-1"),
    )
    assert done.code == 0, done.err
    [header] = world.tools.runs
    assert (header.tool, header.input_json) == ("upscaler", '{"resolution": 1024}')
    assert (header.run.user_id, header.run.request_id) == ("ana", "r-1")
    assert header.run.media[0].upload_file_name == "photo.jpg"
    assert world.tools.body == b"bytes of a photo"
    assert done.lines[0].startswith(f"Job {job.job_id}  upscaler  queued")
    assert "Position: #3" in done.out
    assert f"etapa watch {job.job_id}" in done.out


async def test_waiting_with_json_prints_the_trail_as_one_object(world: World, photo: Path) -> None:
    job, _ = completed()
    await world.observability.record_jobs(job)
    world.tools.job = world.put(job, "completed")
    done = await world.etapa("run", "upscaler", "--image", str(photo), "--wait", "--json")
    assert (done.code, done.err) == (0, "")
    [trail] = done.objects
    assert set(PROMISED_JOB.split()) <= trail["job"].keys()
    assert trail["job"]["status"] == "completed"
    assert trail["verdict"] is None
    assert [step["step"] for step in trail["steps"]][-2:] == ["webhook_received", "completed"]
    assert trail["through_seq"] == len(job.events)
    assert trail["arriving"] == 0


async def test_waiting_prints_only_once_the_trail_has_caught_up(world: World, photo: Path) -> None:
    job, _ = completed()
    await world.observability.record(job.events[:6])
    world.tools.job = world.put(job, "running")

    async def end_then_tell() -> None:
        world.queue.end(job.job_id, job_pb2.JOB_STATUS_COMPLETED, len(job.events))
        await world.observability.record(job.events[6:-1])
        await world.observability.record(job.events[-1:])

    telling = asyncio.create_task(when(world.queue.waited, end_then_tell))
    done = await world.etapa("run", "upscaler", "--image", str(photo), "--wait", "--json")
    await telling
    [trail] = done.objects
    assert trail["through_seq"] == len(job.events)
    assert trail["ledger"][-1]["kind"] == "capture"


async def test_a_history_that_does_not_know_the_job_yet_is_waited_for(
    world: World, photo: Path
) -> None:
    job, _ = completed()
    world.tools.job = world.put(job, "completed")

    async def tell() -> None:
        await world.observability.record_jobs(job)

    telling = asyncio.create_task(when(world.queue.waited, tell))
    done = await world.etapa("run", "upscaler", "--image", str(photo), "--wait", "--json")
    await telling
    assert done.objects[0]["through_seq"] == len(job.events)


async def test_a_failed_job_ends_the_waiting_with_3_and_its_diagnosis(
    world: World, photo: Path
) -> None:
    job, _ = failed()
    await world.observability.record_jobs(job)
    world.tools.job = world.put(
        job, "failed", failed_at_step=job_pb2.STEP_RUNNING, error_message=OOM_WORDS
    )
    done = await world.etapa("run", "upscaler", "--image", str(photo), "--wait")
    assert done.code == 3
    assert "✖ Failed at: Processing with AI (running)" in done.out
    assert OOM_WORDS in done.out
    assert "60 of 60 returned" in done.out
    codes = [line.split()[2] for line in done.lines if "●" in line or "◆" in line]
    assert codes == [
        "upload",
        "insert",
        "credits",
        "queue_check",
        "queued",
        "starting",
        "running",
        "webhook_received",
        "failed",
    ]
    as_json = await world.etapa("run", "upscaler", "--image", str(photo), "--wait", "--json")
    assert as_json.code == 3
    assert as_json.objects[0]["verdict"]["class"] == "gpu_oom"


async def test_retry_waits_like_run(world: World) -> None:
    job, _ = completed()
    await world.observability.record_jobs(job)
    world.put(job, "completed")
    world.queue.retry_as = job.job_id
    done = await world.etapa("retry", "old-job", "--request-id", "r-9", "--wait", "--json")
    assert done.code == 0, done.err
    assert done.objects[0]["job"]["id"] == job.job_id
    assert [(each.job_id, each.request_id) for each in world.queue.retried] == [("old-job", "r-9")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("upscaler",), "upscaler needs --image (Photo)"),
        (("upscaler", "--foto", "x.jpg"), "upscaler has no --foto"),
        (("nope", "--image", "x.jpg"), "there is no tool 'nope'; the tools are: upscaler"),
        (("upscaler", "--image", "/no/such.jpg"), "image: there is no file /no/such.jpg"),
    ],
)
async def test_what_cannot_be_run_is_one_line_and_1(
    world: World, arguments: tuple[str, ...], said: str
) -> None:
    done = await world.etapa("run", *arguments)
    assert done.code == 1
    assert done.err.startswith(f"etapa: {said}")
    assert done.err.count("\n") == 1
    assert world.tools.runs == []


async def test_an_active_job_is_named_with_the_ways_on(world: World, photo: Path) -> None:
    job = running()
    world.tools.refusal = BusyError(
        "user 'demo' may have 1 active job", {"active_job_ids": job.job_id}
    )
    done = await world.etapa("run", "upscaler", "--image", str(photo))
    assert done.code == 1
    assert "may have 1 active job (follow it with `etapa watch" in done.err
    assert f"`etapa cancel {job.job_id}`" in done.err


@pytest.mark.parametrize("lang", ["pt", "en"])
async def test_services_that_are_away_are_one_line_on_what_to_do(lang: str) -> None:
    address = f"127.0.0.1:{free_port()}"
    done = await run_etapa("jobs", "--lang", lang, ETAPA_OBSERVABILITY_ADDRESS=address)
    assert done.code == 1
    assert done.out == ""
    assert done.err.count("\n") == 1
    for word in ("observability", address, "`make up`", "ETAPA_OBSERVABILITY_ADDRESS"):
        assert word in done.err


async def test_a_wrong_address_is_told_as_a_setting() -> None:
    done = await run_etapa("queue", ETAPA_QUEUE_ADDRESS="nowhere")
    assert done.code == 1
    assert "ETAPA_QUEUE_ADDRESS='nowhere' is neither host:port" in done.err


async def test_the_end_is_told_though_the_history_is_away(world: World, photo: Path) -> None:
    job, _ = failed()
    world.tools.job = world.put(
        job, "failed", failed_at_step=job_pb2.STEP_RUNNING, error_message=OOM_WORDS
    )
    away = {"ETAPA_OBSERVABILITY_ADDRESS": "127.0.0.1:9"}
    waited = ("run", "upscaler", "--image", str(photo), "--wait")
    done = await world.etapa(*waited, **away)
    assert done.code == 3
    assert OOM_WORDS in done.out
    assert "127.0.0.1:9" in done.err
    as_json = await world.etapa(*waited, "--json", **away)
    assert (as_json.code, as_json.out) == (1, "")


async def test_ctrl_c_ends_the_waiting_and_not_the_job(world: World, photo: Path) -> None:
    job = running()
    await world.observability.record_jobs(job)
    world.tools.job = world.put(job, "running")
    waiting = await start_etapa("run", "upscaler", "--image", str(photo), "--wait", **world.env)
    async with asyncio.timeout(20):
        await world.queue.waited.wait()
    waiting.send_signal(signal.SIGINT)
    done = await until_ended(waiting)
    assert done.code == 130
    assert f"the job goes on: `etapa watch {job.job_id}`" in done.err
    assert world.queue.cancelled == []
