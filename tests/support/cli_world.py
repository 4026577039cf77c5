"""The `etapa` command as a person runs it: real observability, small other servers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etapa.queue.v1 import credits_pb2_grpc, job_pb2, operations_pb2_grpc, queue_pb2_grpc
from etapa.tools.v1 import tools_pb2_grpc
from services.runtime.grpc_server import GrpcServer
from tests.support.history import History
from tests.support.observability import Observability, running_observability
from tests.support.servicers_cli import WorldCredits, WorldOperations, WorldQueue, WorldTools

TIMEOUT_S = 30


@dataclass
class Ended:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str
    raw: bytes = b""

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Return stdout as JSON, one object a line; anything else there is an error."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def lines(self) -> list[str]:
        """Return stdout's lines."""
        return self.out.splitlines()


@dataclass
class World:
    """All servers, and the command."""

    observability: Observability
    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    queue: WorldQueue = field(default_factory=WorldQueue)
    credits: WorldCredits = field(default_factory=WorldCredits)
    operations: WorldOperations = field(default_factory=WorldOperations)
    tools: WorldTools = field(default_factory=WorldTools)

    async def etapa(self, *arguments: str, stdin: str = "", **env: str) -> Ended:
        """Run the command to its end, its output piped."""
        return await run_etapa(*arguments, stdin=stdin, **{**self.env, **env})

    def put(self, history: History, status: str, **fields: Any) -> job_pb2.Job:
        """Let the queue know a job whose history is this one, all of it."""
        job = job_pb2.Job(
            job_id=history.job_id,
            tool=history.tool,
            user_id=history.user_id,
            status=job_pb2.JobStatus.Value(f"JOB_STATUS_{status.upper()}"),
            trace_id=history.trace_id,
            seq=len(history.events),
            cost=60,
            **fields,
        )
        self.queue.jobs[job.job_id] = job
        return job


async def run_etapa(*arguments: str, stdin: str = "", **env: str) -> Ended:
    """Run `etapa` in an environment of its own."""
    process = await start_etapa(*arguments, **env)
    return await until_ended(process, stdin)


async def start_etapa(*arguments: str, **env: str) -> asyncio.subprocess.Process:
    """Start `etapa` in an environment of its own; `until_ended` must follow."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli",
        *arguments,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **env},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def until_ended(process: asyncio.subprocess.Process, stdin: str = "") -> Ended:
    """Wait for the end of a command, and see to it that it ends."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            out, err = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(errors="replace"), err.decode(), out)


@asynccontextmanager
async def running_world(dsn: str, folder: Path) -> AsyncIterator[World]:
    """Serve everything for the length of the context."""
    async with running_observability(dsn, folder) as observability:
        world = World(observability, folder)
        queue = await _serve(
            [
                (queue_pb2_grpc.add_QueueServiceServicer_to_server, world.queue, "QueueService"),
                (
                    credits_pb2_grpc.add_CreditsServiceServicer_to_server,
                    world.credits,
                    "CreditsService",
                ),
                (
                    operations_pb2_grpc.add_OperationsServiceServicer_to_server,
                    world.operations,
                    "OperationsService",
                ),
            ],
            "etapa.queue.v1",
        )
        tools = await _serve(
            [(tools_pb2_grpc.add_ToolsServiceServicer_to_server, world.tools, "ToolsService")],
            "etapa.tools.v1",
        )
        world.env = {
            "ETAPA_QUEUE_ADDRESS": f"127.0.0.1:{queue.port}",
            "ETAPA_TOOLS_ADDRESS": f"127.0.0.1:{tools.port}",
            "ETAPA_OBSERVABILITY_ADDRESS": f"127.0.0.1:{observability.port}",
            "LANG": "en_US.UTF-8",
            "TZ": "UTC",
        }
        try:
            yield world
        finally:
            await queue.stop(0)
            await tools.stop(0)


Registration = tuple[Callable[..., Any], Any, str]


async def _serve(servicers: list[Registration], package: str) -> GrpcServer:
    server = GrpcServer("127.0.0.1:0")
    for adder, servicer, name in servicers:
        server.add(adder, servicer, f"{package}.{name}")
    await server.start()
    server.set_serving(True)
    return server


async def when(event: asyncio.Event, then: Callable[[], Awaitable[None]]) -> None:
    """Act as soon as something has happened."""
    async with asyncio.timeout(TIMEOUT_S):
        await event.wait()
    await then()
