from __future__ import annotations

import asyncio
import sys

from services.cli.probe import NOT_READY, READY, WRONG_USE
from services.runtime.grpc_server import GrpcServer


async def probe(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli.probe",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_a_service_that_serves_is_ready() -> None:
    server = GrpcServer("127.0.0.1:0")
    address = f"127.0.0.1:{await server.start()}"
    server.set_serving(True)
    assert await probe("queue", address) == (READY, "")
    await server.stop(0)


async def test_a_service_that_does_not_serve_yet_is_not_ready() -> None:
    server = GrpcServer("127.0.0.1:0")
    address = f"127.0.0.1:{await server.start()}"
    assert await probe("queue", address) == (NOT_READY, "")
    await server.stop(0)


async def test_an_unknown_service_is_told_how_to_ask() -> None:
    code, said = await probe("quue")
    assert code == WRONG_USE
    assert "queue|tools" in said
