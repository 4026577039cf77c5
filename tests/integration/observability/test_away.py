"""The database goes away and comes back, before the start and in the middle of the work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc import aio

from services.cli.postgres import PostgresServer
from tests.support.history import failed, queued
from tests.support.observability import running_observability, until_ready
from tests.support.postgres import create_database, start_server, stop_server


@pytest.fixture
async def server() -> AsyncIterator[PostgresServer]:
    """A server of this test's own, since it is going to be stopped."""
    server = await asyncio.to_thread(start_server)
    yield server
    await asyncio.to_thread(stop_server, server)


async def test_a_service_that_starts_before_its_database_serves_once_it_is_there(
    server: PostgresServer, tmp_path: Path
) -> None:
    dsn = await create_database(server.dsn, [])
    await asyncio.to_thread(server.stop)
    async with running_observability(dsn, tmp_path, wait_ready=False) as service:
        began = time.monotonic()
        with pytest.raises(aio.AioRpcError) as refused:
            await service.list_jobs()
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert time.monotonic() - began < 2
        await asyncio.to_thread(server.start)
        await until_ready(service)
        job = queued()
        await service.record_jobs(job)
        assert (await service.get_trail(job.job_id)).through_seq == len(job.events)


async def test_a_database_that_goes_in_mid_run_loses_nothing_and_needs_no_restart(
    server: PostgresServer, tmp_path: Path
) -> None:
    dsn = await create_database(server.dsn, [])
    job, _ = failed()
    async with running_observability(dsn, tmp_path, HEARTBEAT_S="0.2") as service:
        await service.record(job.events[:5])
        watch = service.watch(job.job_id)
        seen = [(await watch.read()).event.seq for _ in range(5)]
        await asyncio.to_thread(server.stop)
        began = time.monotonic()
        with pytest.raises(aio.AioRpcError) as refused:
            await service.record(job.events[5:])
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(aio.AioRpcError) as unread:
            await service.get_trail(job.job_id)
        assert unread.value.code() is grpc.StatusCode.UNAVAILABLE
        assert time.monotonic() - began < 4
        await asyncio.to_thread(server.start)
        await until_ready(service)
        await service.record(job.events)
        async with asyncio.timeout(20):
            while (message := await watch.read()) is not aio.EOF:
                seen += [message.event.seq] if message.HasField("event") else []
        assert seen == list(range(1, len(job.events) + 1))
