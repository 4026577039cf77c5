"""A service process as it starts and ends, seen from outside."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from etapa.observability.v1 import trail_pb2, trail_pb2_grpc

ROOT = Path(__file__).parents[3]
PROGRAM = """
import asyncio, os
from services.runtime.grpc_server import GrpcServer
from services.runtime.main import serve
from services.runtime.settings import Env
from etapa.observability.v1 import trail_pb2_grpc
from tests.support.servicers import SmallTrail

async def main(env, stop):
    reading = Env(env)
    listen = reading.address("ETAPA_TEST_LISTEN", "127.0.0.1:0")
    reading.required("ETAPA_TEST_KEY", "any text")
    reading.finish()
    server, trail = GrpcServer(listen), SmallTrail(last=2)
    trail.hold_open = True
    server.add(
        trail_pb2_grpc.add_TrailServiceServicer_to_server, trail,
        "etapa.observability.v1.TrailService",
    )
    async with asyncio.TaskGroup() as group:
        port = await group.create_task(server.start())
        server.set_serving(True)
        print("port", port, flush=True)
        if "ETAPA_TEST_CRASH" in env:
            raise RuntimeError("boom")
        await stop.wait()
        await server.stop(5)
    print("drained", flush=True)

serve("test", main, os.environ)
"""


async def start(**env: str) -> asyncio.subprocess.Process:
    """Run the program above as a process."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "ETAPA_TEST_KEY": "k", **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def port_of(process: asyncio.subprocess.Process) -> int:
    """Read the port that the program prints."""
    assert process.stdout is not None
    while line := await asyncio.wait_for(process.stdout.readline(), 20):
        if line.startswith(b"port "):
            return int(line.split()[1])
    raise AssertionError("the program ended before it served")


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """Wait for the end: exit code, stdout, stderr."""
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_a_server_with_an_open_stream(number: signal.Signals) -> None:
    process = await start()
    async with aio.insecure_channel(f"127.0.0.1:{await port_of(process)}") as channel:
        stub: Any = trail_pb2_grpc.TrailServiceStub(channel)
        stream = stub.Watch(trail_pb2.WatchRequest())
        assert [(await stream.read()).event.seq for _ in range(4)] == [1, 0, 2, 0]
        process.send_signal(number)
        with pytest.raises(aio.AioRpcError) as caught:
            await stream.read()
    code, out, err = await ended(process)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert (code, err) == (0, "")
    assert out.index("stop_requested") < out.index("drained") < out.index("service_stopped")


async def test_missing_settings_are_one_clear_line() -> None:
    code, _, err = await ended(await start(ETAPA_TEST_KEY="", ETAPA_TEST_LISTEN="nonsense"))
    (line,) = err.splitlines()
    assert code == 2
    assert "ETAPA_TEST_KEY is not set" in line
    assert "ETAPA_TEST_LISTEN='nonsense' is not host:port" in line


async def test_a_port_in_use_is_one_clear_line_even_from_a_task_group() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        code, _, err = await ended(await start(ETAPA_TEST_LISTEN=listen))
    assert code == 2
    assert err.count("\n") >= 1
    assert f"port {listen.split(':')[1]} is in use" in err
    assert "Traceback" not in err


async def test_an_address_beyond_loopback_needs_the_switch() -> None:
    code, _, err = await ended(await start(ETAPA_TEST_LISTEN="0.0.0.0:0"))
    assert (code, "ETAPA_INSECURE_BIND=1" in err) == (2, True)
    process = await start(ETAPA_TEST_LISTEN="0.0.0.0:0", ETAPA_INSECURE_BIND="1")
    assert await port_of(process) > 0
    process.terminate()
    assert (await ended(process))[0] == 0


async def test_a_crash_is_logged_and_ends_with_one() -> None:
    code, out, _ = await ended(await start(ETAPA_TEST_CRASH="1"))
    assert code == 1
    assert "service_failed" in out
    assert "boom" in out


CYCLES = """
import gc
from services.runtime.collector import spare_the_collector

spare_the_collector()
most = 0
for made in range(1_000_000):
    cycle = []
    cycle.append(cycle)
    if made % 10_000 == 0:
        most = max(most, len(gc.get_objects()))
print(most)
"""


async def test_cycles_are_still_collected_while_a_service_works() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CYCLES, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert 0 < int(out) < 200_000
