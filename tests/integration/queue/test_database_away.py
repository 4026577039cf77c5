"""Postgres goes away between a claim and its start call: the job waits for it, and goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from services.cli.postgres import PostgresServer
from services.queue.domain import JobStatus
from services.queue.policy import Policy
from services.runtime.db import AWAY_ERRORS
from tests.support.emulator import KEY, EmulatorHandle, running_emulator
from tests.support.postgres import create_database, start_server, stop_server
from tests.support.queue_process import QueueProcess, running_queue
from tests.support.queue_world import QueueWorld, open_world
from tests.support.waiting import eventually

PATIENT = Policy(poll_slow_s=0.2, poll_fast_s=0.1, callbacks_expected=False)


@pytest.fixture
async def server() -> AsyncIterator[PostgresServer]:
    """A server of this test's own, since it is going to be stopped."""
    server = await asyncio.to_thread(start_server)
    yield server
    await asyncio.to_thread(stop_server, server)


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[EmulatorHandle]:
    async with running_emulator(tmp_path / "emulator") as handle:
        yield handle


@pytest.fixture
async def world(server: PostgresServer, emulator: EmulatorHandle) -> AsyncIterator[QueueWorld]:
    async with open_world(await create_database(server.dsn, ["queue"]), PATIENT) as opened:
        await opened.fetch(
            "UPDATE queue.accounts SET base_url = $1, api_key = $2", emulator.base_url, KEY
        )
        yield opened


@pytest.fixture
async def queue(world: QueueWorld, tmp_path: Path) -> AsyncIterator[QueueProcess]:
    async with running_queue(world, tmp_path) as process:
        yield process
    await world.check()


async def is_final(queue: QueueProcess, job_id: UUID) -> bool:
    try:
        return (await queue.world.job(job_id)).status.is_final
    except AWAY_ERRORS:  # a connection from before the restart
        return False


async def test_a_database_that_goes_while_media_is_uploaded_costs_no_job(
    queue: QueueProcess, emulator: EmulatorHandle, server: PostgresServer
) -> None:
    # 200 provider seconds: the server is gone by the time the upload's reply is to be noted.
    await emulator.admin.add_fault("slow_answer", point="upload", when="before", seconds=200)
    job_id = await queue.run()
    await emulator.admin.wait_for("fault", point="upload")
    await asyncio.to_thread(server.stop)
    await emulator.admin.wait_for("upload")
    await asyncio.to_thread(server.start)
    await eventually(lambda: is_final(queue, job_id), 30)
    job = await queue.world.job(job_id)
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 1)
    assert len(await emulator.admin.events("start_accepted")) == 1
