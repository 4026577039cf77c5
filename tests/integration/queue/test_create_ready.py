"""Jobs that wait for no media are admitted and completed by one call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from etapa.queue.v1 import job_pb2, queue_pb2
from etapa_client import errors
from tests.support.postgres import MakeDatabase
from tests.support.queue_server import QueueServer, serving, submission
from tests.support.queue_world import QueueWorld, open_world


@pytest.fixture
async def world(make_database: MakeDatabase) -> AsyncIterator[QueueWorld]:
    async with open_world(await make_database(["queue"])) as opened:
        yield opened


@pytest.fixture
async def queue(world: QueueWorld) -> AsyncIterator[QueueServer]:
    async with serving(world) as opened:
        yield opened


async def test_a_job_that_waits_for_nothing_is_completed_as_it_is_created(
    queue: QueueServer, world: QueueWorld
) -> None:
    job = (await create_ready(queue)).job
    assert (job.status, job.position) == (job_pb2.JOB_STATUS_QUEUED, 1)
    steps = ["upload", "insert", "credits", "queue_check", "queued"]
    assert await world.steps(UUID(job.job_id)) == steps
    second = (await create_ready(queue, "other")).job
    assert second.position == 2
    await world.check()


async def test_a_ready_job_is_created_once(queue: QueueServer, world: QueueWorld) -> None:
    first, again = await create_ready(queue), await create_ready(queue)
    assert (again.job.job_id, again.job.seq, again.created) == (
        first.job.job_id,
        first.job.seq,
        False,
    )
    other = submission()
    other.webapp_id = "1"
    with pytest.raises(errors.RequestIdReusedError) as refused:
        await create_ready(queue, ready=other)
    assert refused.value.facts["request_id"] == "ready"
    await world.check()


async def test_a_ready_job_found_pending_is_completed(queue: QueueServer) -> None:
    job_id = await queue.create(request_id="ready")
    job = (await create_ready(queue)).job
    assert (job.job_id, job.status) == (job_id, job_pb2.JOB_STATUS_QUEUED)


async def test_a_ready_job_without_credits_fails_there(
    queue: QueueServer, world: QueueWorld
) -> None:
    job = (await create_ready(queue, user_id="poor")).job
    assert (job.status, job.failed_at_step) == (job_pb2.JOB_STATUS_FAILED, job_pb2.STEP_CREDITS)
    await world.check()


async def test_ready_jobs_of_one_batch_stand_in_line_in_order(
    queue: QueueServer, world: QueueWorld
) -> None:
    created = await asyncio.gather(*(create_ready(queue, str(n)) for n in range(20)))
    views = [await queue.client.queue.get_job(each.job.job_id) for each in created]
    assert sorted(view.position for view in views) == list(range(1, 21))
    await world.check()


async def create_ready(
    queue: QueueServer,
    request_id: str = "ready",
    user_id: str = "ana",
    ready: queue_pb2.Submission | None = None,
) -> queue_pb2.CreateJobResponse:
    return await queue.client.queue.create_job(
        request_id=request_id, user_id=user_id, tool="upscaler", ready=ready or submission()
    )
