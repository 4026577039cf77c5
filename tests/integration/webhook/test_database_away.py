"""Postgres absent, killed or hanging: 503 at once, nothing lost that was answered 200, recovery."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from services.cli.postgres import PostgresServer
from tests.support.postgres import create_database, start_server, stop_server
from tests.support.waiting import eventually
from tests.support.webhook_gateway import (
    exchange,
    gateway_env,
    http_request,
    inbox_rows,
    post,
    running_gateway,
)

TARGET = "/runninghub/k3eWq0hY-tokenOfAnAttempt_0123456789abcdefgh"


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Run a server of this test's own, to be maltreated."""
    server = start_server()
    yield server
    stop_server(server)


async def recovers(port: int) -> None:
    """Wait until a callback is answered 200 and the health check agrees."""

    async def is_well() -> bool:
        health = await exchange(port, http_request("/healthz", method="GET"))
        return health.status == 200 and (await post(port, TARGET, b"after")).status == 200

    await eventually(is_well)


async def test_a_gateway_starts_without_a_database_and_recovers(
    server: PostgresServer, tmp_path: Path
) -> None:
    dsn = await create_database(server.dsn, [])
    server.stop()
    async with running_gateway(gateway_env(dsn, str(tmp_path))) as port:
        reply = await post(port, TARGET)
        health = await exchange(port, http_request("/healthz", method="GET"))
        assert (reply.status, health.status) == (503, 503)
        assert int(reply.headers["retry-after"]) > 0

        server.start()
        await recovers(port)
    assert {row["body"] for row in await inbox_rows(dsn)} == {b"after"}


async def test_a_database_killed_in_mid_run_means_503_and_then_recovery(
    server: PostgresServer, tmp_path: Path
) -> None:
    dsn = await create_database(server.dsn, ["webhook"])
    async with running_gateway(gateway_env(dsn, str(tmp_path))) as port:
        assert (await post(port, TARGET, b"before")).status == 200
        assert server.process is not None
        backends = _children(server.process.pid)
        server.process.kill()
        server.process.wait()
        # A backend whose postmaster is gone ends by itself, and may commit until then.
        await eventually(lambda: _all_ended(backends))
        started = time.monotonic()
        assert (await post(port, TARGET, b"during")).status == 503
        assert time.monotonic() - started < 2

        server.stop()
        server.start()
        await recovers(port)
    bodies = {row["body"] for row in await inbox_rows(dsn)}
    assert bodies == {b"before", b"after"}


async def test_a_restart_between_two_callbacks_costs_no_503(
    server: PostgresServer, tmp_path: Path
) -> None:
    dsn = await create_database(server.dsn, ["webhook"])
    async with running_gateway(gateway_env(dsn, str(tmp_path))) as port:
        assert (await post(port, TARGET, b"before")).status == 200
        server.stop()
        server.start()
        assert (await post(port, TARGET, b"after")).status == 200
    assert [row["body"] for row in await inbox_rows(dsn)] == [b"before", b"after"]


async def test_a_database_that_hangs_means_503_within_the_bound(
    server: PostgresServer, tmp_path: Path
) -> None:
    dsn = await create_database(server.dsn, ["webhook"])
    env = gateway_env(dsn, str(tmp_path), ETAPA_WEBHOOK_STORE_TIMEOUT_S="0.5")
    assert server.process is not None
    async with running_gateway(env) as port:
        assert (await post(port, TARGET)).status == 200
        frozen = [server.process.pid, *_children(server.process.pid)]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            assert (await post(port, TARGET)).status == 503
            assert time.monotonic() - started < 3
        finally:
            for pid in frozen:
                # One that was just ending is gone once its parent, first in the list, goes on.
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        await recovers(port)


def _children(parent: int) -> list[int]:
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(pid) for pid in text.split()]


async def _all_ended(pids: list[int]) -> bool:
    return not any(map(_is_running, pids))


def _is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
