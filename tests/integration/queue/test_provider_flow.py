"""The queue's loops against the emulator: jobs start, are found, end right, whatever goes wrong."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from services.queue import command as c
from services.queue.domain import Change, JobStatus, Phase, Step
from services.runninghub.client import Limits
from services.runninghub.verdicts import Side, failure_class
from tests.support.emulator import KEY, EmulatorHandle, running_emulator
from tests.support.outbox import waiting_events
from tests.support.postgres import MakeDatabase
from tests.support.queue_process import FAST, QueueProcess, running_queue
from tests.support.queue_world import QueueWorld, open_world


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[EmulatorHandle]:
    async with running_emulator(tmp_path / "emulator") as handle:
        yield handle


@pytest.fixture
async def world(make_database: MakeDatabase, emulator: EmulatorHandle) -> AsyncIterator[QueueWorld]:
    async with open_world(await make_database(["queue"]), FAST) as opened:
        await opened.fetch(
            "UPDATE queue.accounts SET base_url = $1, api_key = $2", emulator.base_url, KEY
        )
        yield opened


@pytest.fixture
async def queue(world: QueueWorld, tmp_path: Path) -> AsyncIterator[QueueProcess]:
    limits = Limits(start_reply_timeout_s=0.5, reply_timeout_s=0.5)
    async with running_queue(world, tmp_path, limits=limits) as process:
        yield process
    await world.check()


async def test_a_job_completes_without_any_callback(queue: QueueProcess) -> None:
    job_id = await queue.run()
    assert (await queue.until(job_id)).status is JobStatus.COMPLETED
    assert "FOUND_BY_POLL" in await queue.world.notes(job_id)


async def test_outputs_are_in_our_storage_with_their_digest(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    job_id = await queue.run()
    await queue.until(job_id)
    (row,) = await queue.world.fetch(
        "SELECT outputs -> 0 ->> 'sha256' AS sha256 FROM queue.jobs WHERE id = $1", job_id
    )
    (ended,) = await emulator.admin.events("run_ended")
    assert row["sha256"] in str(ended)
    assert len(await queue.blobs.get(row["sha256"])) > 0


async def test_an_error_page_in_place_of_an_output_is_not_the_output(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    await emulator.admin.add_fault("garbage", point="file")
    job = await queue.until(await queue.run())
    assert (job.status, job.failed_at_step, job.error_class) == (
        JobStatus.FAILED,
        Step.WEBHOOK_RECEIVED,
        "output_undelivered",
    )
    assert 'sent no image/png but {"code"' in job.error_message


@pytest.mark.parametrize(
    ("action", "options", "words"),
    [
        ("http", {"status": 502}, "HTTP 502"),
        # Beyond the time that finalising has, of which the deadline could not tell the reason.
        ("slow_answer", {"when": "before", "seconds": 1000}, "an output could not be saved"),
    ],
)
async def test_a_file_host_that_fails_is_the_providers_side(
    queue: QueueProcess,
    emulator: EmulatorHandle,
    action: str,
    options: dict[str, Any],
    words: str,
) -> None:
    await emulator.admin.add_fault(action, point="file", **options)
    job = await queue.until(await queue.run())
    assert (job.failed_at_step, job.error_class) == (Step.WEBHOOK_RECEIVED, "output_undelivered")
    assert words in job.error_message
    assert failure_class(job.error_class).side is Side.PROVIDER


async def test_a_blob_store_that_fails_is_our_side(queue: QueueProcess, tmp_path: Path) -> None:
    def break_blobs(changes: Sequence[Change]) -> None:
        attempt = changes[0].after.current
        if attempt and attempt.phase is Phase.FINALISING and (tmp_path / "blobs").is_dir():
            shutil.rmtree(tmp_path / "blobs")
            (tmp_path / "blobs").write_bytes(b"not a folder")

    queue.world.transitions.listen(break_blobs)
    job = await queue.until(await queue.run())
    assert (job.failed_at_step, job.error_class) == (Step.WEBHOOK_RECEIVED, "output_unsavable")
    assert "the blob store can't be reached" in job.error_message
    assert failure_class(job.error_class).side is Side.US


async def test_an_output_is_asked_for_again_after_an_error_page(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    await emulator.admin.add_fault("garbage", point="file", count=2)
    job = await queue.until(await queue.run())
    assert job.status is JobStatus.COMPLETED
    assert len(await emulator.admin.events("fault", point="file")) == 2
    (row,) = await queue.world.fetch("SELECT outputs -> 0 ->> 'sha256' AS sha256 FROM queue.jobs")
    (ended,) = await emulator.admin.events("run_ended")
    assert row["sha256"] in str(ended)


async def test_a_provider_failure_keeps_its_words_and_class(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    await emulator.admin.add_fault("fail", classes=["gpu_oom"])
    job = await queue.until(await queue.run())
    assert (job.status, job.failed_at_step, job.error_class) == (
        JobStatus.FAILED,
        Step.RUNNING,
        "gpu_oom",
    )
    assert "Allocation on device" in job.error_message


async def test_a_full_account_is_waited_for_without_a_new_attempt(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    await emulator.admin.add_fault("code", code=421, count=2)
    job = await queue.until(await queue.run())
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 1)
    assert "ACCOUNT_FULL" in await queue.world.notes(job.id)


async def test_a_refusal_with_a_task_id_is_asked_about(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    await emulator.admin.add_fault("code", code=421, task_id="refused", count=1)
    job = await queue.until(await queue.run())
    assert job.status is JobStatus.COMPLETED
    assert "ACCOUNT_FULL" in await queue.world.notes(job.id)
    assert await emulator.admin.events("start_refused")


async def test_a_wrong_node_fails_at_starting_on_our_side(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    await emulator.admin.add_fault("code", code=803, count=1)
    job = await queue.until(await queue.run())
    assert (job.failed_at_step, job.error_class) == (Step.STARTING, "config_node_mismatch")


async def test_a_lost_start_reply_is_never_sent_again(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    await emulator.admin.add_fault("reset", when="after", count=1)
    job = await queue.until(await queue.run())
    assert (job.failed_at_step, job.error_class) == (Step.STARTING, "submit_unknown")
    assert len(await emulator.admin.events("start_accepted")) == 1


async def test_a_start_answered_by_an_error_page_is_not_called_unanswered(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    await emulator.admin.add_fault("http", status=502, count=1)
    job = await queue.until(await queue.run())
    assert (job.failed_at_step, job.error_class) == (Step.STARTING, "submit_unknown")
    events = await waiting_events(queue.world.pool)
    (note,) = [event.note for event in events if event.note.code == "SUBMIT_UNKNOWN"]
    assert note.text.startswith("the start call got HTTP 502 that tells nothing")
    assert "no reply that tells whether it started" in job.error_message


async def test_an_absent_provider_costs_no_attempt(
    queue: QueueProcess, world: QueueWorld, emulator: EmulatorHandle
) -> None:
    await world.fetch("UPDATE queue.accounts SET base_url = 'http://127.0.0.1:1'")
    job_id = await queue.run()
    await queue.until_note(job_id, "PROVIDER_UNREACHABLE")
    await world.fetch(
        "UPDATE queue.accounts SET base_url = $1, health = 'ok', rests_until = NULL",
        emulator.base_url,
    )
    job = await queue.until(job_id)
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 1)


async def test_outputs_that_are_gone_fail_the_job_with_a_refund(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    await emulator.admin.add_fault("outputs_expired")
    job = await queue.until(await queue.run())
    assert (job.failed_at_step, job.error_class) == (Step.WEBHOOK_RECEIVED, "output_gone")


async def test_a_success_without_outputs_fails_with_its_own_class(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    await emulator.admin.add_fault("fail", classes=["no_output"])
    job = await queue.until(await queue.run())
    assert (job.failed_at_step, job.error_class) == (Step.RUNNING, "no_output")


async def test_a_cancel_stops_the_task_at_the_provider(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    await emulator.admin.add_fault("slow_run", seconds=1000)
    job_id = await queue.run()
    await queue.until(job_id, "running")
    await queue.world.transitions.run(c.AskCancel(job_id, "enough"))
    job = await queue.until(job_id)
    assert job.status is JobStatus.CANCELLED
    assert await emulator.admin.events("cancel")


async def test_a_run_beyond_its_limit_is_stopped_then_judged(
    queue: QueueProcess, world: QueueWorld, emulator: EmulatorHandle
) -> None:
    await world.fetch("UPDATE queue.tools SET run_s = 20")
    await emulator.admin.add_fault("slow_run", seconds=10_000)
    job = await queue.until(await queue.run())
    assert (job.failed_at_step, job.error_class) == (Step.RUNNING, "timeout")
    assert await emulator.admin.events("cancel")


@pytest.mark.parametrize("status", [502, 429, 500])
async def test_errors_of_queries_never_change_the_job(
    queue: QueueProcess, emulator: EmulatorHandle, status: int
) -> None:
    await emulator.admin.add_fault("http", point="query", status=status, count=3)
    job = await queue.until(await queue.run())
    assert job.status is JobStatus.COMPLETED


async def test_a_failed_upload_is_tried_again(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    await emulator.admin.add_fault("http", point="upload", status=502, count=2)
    job = await queue.until(await queue.run())
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 1)


async def test_an_upload_is_not_repeated_for_the_same_account(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    await queue.until(await queue.run())
    await queue.until(await queue.run())
    assert len(await emulator.admin.events("upload")) == 1


async def test_an_infrastructure_failure_is_retried_by_itself(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    await emulator.admin.add_fault("fail", classes=["infra"], count=1)
    job = await queue.until(await queue.run())
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 2)


async def test_no_key_stands_in_any_stored_payload(queue: QueueProcess) -> None:
    await queue.until(await queue.run())
    packs = [row["body"] for row in await queue.world.fetch("SELECT body FROM queue.outbox")]
    assert any(b"***" in pack for pack in packs)
    assert not [pack for pack in packs if KEY.encode() in pack]


async def test_media_that_the_provider_lost_is_uploaded_anew(
    queue: QueueProcess, emulator: EmulatorHandle
) -> None:
    await queue.until(await queue.run())
    await queue.world.fetch("UPDATE queue.uploads SET file_name = 'openapi/lost.jpg'")
    job = await queue.until(await queue.run())
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 2)
    assert len(await emulator.admin.events("upload")) == 2
