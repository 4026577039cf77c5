"""`python -m services.emulator` announces its ports, serves, and stops on SIGTERM."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp

from services.emulator.journal import FILE_NAME
from tests.support.emulator import KEY
from tests.support.runninghub_http import RawClient

COMMAND = (sys.executable, "-m", "services.emulator")
ROOT = Path(__file__).parents[3]


async def spawn(data: Path, **env: str) -> asyncio.subprocess.Process:
    settings = {
        "ETAPA_EMULATOR_LISTEN": "127.0.0.1:0",
        "ETAPA_EMULATOR_ADMIN_LISTEN": "127.0.0.1:0",
        "ETAPA_EMULATOR_DATA": str(data),
        "ETAPA_EMULATOR_TIME_SCALE": "0.01",
        **env,
    }
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_the_process_announces_serves_and_stops(tmp_path: Path) -> None:
    process = await spawn(tmp_path)
    assert process.stdout is not None
    async with asyncio.timeout(30):
        ready = json.loads(await process.stdout.readline())
        assert ready["message"] == "emulator_ready"
        async with aiohttp.ClientSession() as http:
            client = RawClient(ready["base_url"], KEY, http)
            assert (await client.run())["status"] == "SUCCESS"
            async with http.get(f"{ready['admin_url']}/admin/health") as reply:
                assert reply.status == 200
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert (tmp_path / FILE_NAME).stat().st_size > 0


async def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        process = await spawn(tmp_path, ETAPA_EMULATOR_LISTEN=listen)
        async with asyncio.timeout(30):
            _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"Address already in use" in errors
    assert listen.encode() in errors
    assert b"ETAPA_EMULATOR_LISTEN" in errors
    assert b"Traceback" not in errors


async def test_wrong_settings_are_all_named(tmp_path: Path) -> None:
    process = await spawn(
        tmp_path, ETAPA_EMULATOR_ACCOUNTS="secret-key", ETAPA_EMULATOR_QUEUE_S="soon"
    )
    async with asyncio.timeout(30):
        _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"ETAPA_EMULATOR_QUEUE_S" in errors
    assert b"ETAPA_EMULATOR_ACCOUNTS" in errors
    assert b"secret-key" not in errors
