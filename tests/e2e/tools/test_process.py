from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from etapa.queue.v1 import job_pb2
from etapa.tools.v1 import tools_pb2, tools_pb2_grpc
from etapa_client import EtapaClient
from services.runtime.blobs import BlobStore
from tests.support.servicer_recorder import QueueRecorder, TrailRecorder, recorder_server
from tests.support.sockets import free_port
from tests.support.tool_media import image_bytes, two_halves
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Running:
    process: Process
    port: int
    queue: QueueRecorder
    trail: TrailRecorder
    queue_port: int


@asynccontextmanager
async def start(folder: Path, **env: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.tools",
        env={"PATH": os.environ["PATH"], "ETAPA_HOME": str(folder), **env},
        cwd=ROOT,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Running]:
    queue, trail, port = QueueRecorder(), TrailRecorder(), free_port()
    server = recorder_server(queue, trail)
    queue_port = await server.start()
    env = {
        "ETAPA_TOOLS_LISTEN": f"127.0.0.1:{port}",
        "ETAPA_QUEUE_ADDRESS": f"127.0.0.1:{queue_port}",
        "ETAPA_OBSERVABILITY_ADDRESS": f"127.0.0.1:{queue_port}",
    }
    async with start(folder, **env) as process:
        await queue.wait(queue.announced, 1)
        async with asyncio.timeout(20):
            await trail.announced.wait()
        yield Running(process, port, queue, trail, queue_port)
    await server.stop(0)


async def test_service_announces_serves_and_drains(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        address = f"127.0.0.1:{service.port}"
        async with EtapaClient(tools=address) as client:
            photo = image_bytes(two_halves())
            job = await client.tools.run("bg_remover", {}, {"image": photo}, "ana")
        assert job.status == job_pb2.JOB_STATUS_QUEUED
        sha256 = service.queue.submitted[0].ready.media[0].sha256
        assert await BlobStore(str(tmp_path / "blobs")).size(sha256)
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            health = await stub.Check(
                health_pb2.HealthCheckRequest(service="etapa.tools.v1.UpscalerService"), timeout=10
            )
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        service.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await service.process.wait() == 0


async def test_upload_under_way_is_brought_to_its_end_on_sigterm(tmp_path: Path) -> None:
    photo = image_bytes(two_halves())
    source = tools_pb2.MediaSource(name="image", upload_file_name="foto.jpg")
    run = tools_pb2.RunHeader(request_id="r-1", user_id="ana", media=[source])
    header = tools_pb2.RunToolHeader(run=run, tool="bg_remover")
    async with (
        running(tmp_path) as service,
        grpc.aio.insecure_channel(f"127.0.0.1:{service.port}") as channel,
    ):
        call = tools_pb2_grpc.ToolsServiceStub(channel).RunTool(timeout=30)
        await call.write(tools_pb2.RunToolRequest(header=header))
        await service.queue.wait(service.queue.created, 1)
        service.process.send_signal(signal.SIGTERM)
        chunk = tools_pb2.MediaChunk(media="image", data=photo, last=True)
        await call.write(tools_pb2.RunToolRequest(chunk=chunk))
        answer = await call
        assert answer.job.status == job_pb2.JOB_STATUS_QUEUED
        async with asyncio.timeout(20):
            assert await service.process.wait() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_media_workers_end_with_a_killed_service(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        async with EtapaClient(tools=f"127.0.0.1:{service.port}") as client:
            await client.tools.run("bg_remover", {}, {"image": image_bytes(two_halves())}, "ana")
        workers = children(service.process.pid)
        assert workers
        service.process.kill()
        await eventually(lambda: has_ended(workers[0]))


def children(pid: int) -> list[int]:
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


async def has_ended(pid: int) -> bool:
    status = await asyncio.to_thread(read_status, pid)
    return not status or "\nState:\tZ" in status


def read_status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ETAPA_TOOLS_LISTEN", "nowhere", "ETAPA_TOOLS_LISTEN"),
        ("ETAPA_TOOLS_FETCH_ALLOW", "10.0.0.0/33", "ETAPA_TOOLS_FETCH_ALLOW"),
        ("ETAPA_TOOLS_WORKERS", "0", "ETAPA_TOOLS_WORKERS"),
    ],
)
async def test_bad_setting_stops_start_up_with_its_name(
    tmp_path: Path, name: str, value: str, says: str
) -> None:
    async with start(tmp_path, **{name: value}) as process, asyncio.timeout(20):
        _, stderr = await process.communicate()
    assert process.returncode == 2
    assert says in stderr.decode()


async def test_port_in_use_stops_start_up_with_a_clear_error(tmp_path: Path) -> None:
    server = recorder_server(QueueRecorder())
    port = await server.start()
    async with start(tmp_path, ETAPA_TOOLS_LISTEN=f"127.0.0.1:{port}") as process:
        async with asyncio.timeout(20):
            stdout, stderr = await process.communicate()
    await server.stop(0)
    assert process.returncode
    assert str(port) in (stdout + stderr).decode()
