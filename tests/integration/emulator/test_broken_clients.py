"""Clients that break off in mid-request leave nothing behind and disturb nobody."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import aiohttp
import pytest

from tests.support.emulator import KEY, EmulatorHandle, running_emulator
from tests.support.runninghub_http import UPSCALER, RawClient
from tests.support.waiting import eventually

HEAD = (
    "POST {path} HTTP/1.1\r\nHost: www.runninghub.cn\r\nAuthorization: Bearer {key}\r\n"
    "Content-Type: {kind}\r\nContent-Length: 5000\r\n\r\n"
)
PART = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\nhalf a pic'
START = f"/openapi/v2/run/ai-app/{UPSCALER}"
UPLOAD = "/openapi/v2/media/upload/binary"


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        (UPLOAD, "multipart/form-data; boundary=b", PART),
        (START, "application/json", '{"nodeInfoList": ['),
    ],
)
async def test_a_request_cut_off_in_its_body_never_happened(
    emulator: EmulatorHandle,
    client: RawClient,
    caplog: pytest.LogCaptureFixture,
    path: str,
    kind: str,
    body: str,
) -> None:
    host, _, port = emulator.base_url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write((HEAD.format(path=path, key=KEY, kind=kind) + body).encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await emulator.admin.wait_for("call_cut_off", path=path)
    assert (await client.run())["status"] == "SUCCESS"
    events = [item["event"] for item in await emulator.admin.log()]
    assert (events.count("start_received"), events.count("upload")) == (1, 0)
    assert [item for item in caplog.records if item.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("kind", ["multipart/form-data", "text/plain", "application/json"])
async def test_an_upload_that_is_no_form_is_refused(emulator: EmulatorHandle, kind: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": kind}
    async with emulator.http.post(emulator.base_url + UPLOAD, data=b"x", headers=headers) as reply:
        assert (await reply.json())["code"] == 1007


async def test_a_client_that_leaves_does_not_end_its_accepted_task(
    emulator: EmulatorHandle,
) -> None:
    await emulator.admin.add_fault("hang", when="after")
    timeout = aiohttp.ClientTimeout(total=1)
    headers = {"Authorization": f"Bearer {KEY}"}
    with pytest.raises(TimeoutError):
        await emulator.http.post(
            emulator.base_url + START, json={"nodeInfoList": []}, headers=headers, timeout=timeout
        )
    (ended,) = await emulator.admin.wait_for("run_ended")
    assert ended["status"] == "SUCCESS"


async def test_the_emulator_stops_though_a_call_hangs(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as http, asyncio.timeout(10):
        async with running_emulator(tmp_path) as emulator:
            await emulator.admin.add_fault("hang")
            client = RawClient(emulator.base_url, KEY, http)
            hanging = asyncio.create_task(client.start())

            async def has_struck() -> bool:
                return bool(await emulator.admin.events("fault"))

            await eventually(has_struck)
        with pytest.raises(aiohttp.ClientError):
            await hanging
