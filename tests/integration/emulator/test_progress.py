"""The progress socket speaks ComfyUI's frames while a task runs."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from tests.support.emulator import EmulatorHandle
from tests.support.runninghub_http import RawClient


async def address(emulator: EmulatorHandle, client: RawClient, task_id: str) -> str:
    await emulator.admin.wait_for("run_started", task_id=task_id)
    reply = await client.v1("/task/openapi/outputs", taskId=task_id)
    return str(reply["data"]["netWssUrl"])


async def frames(emulator: EmulatorHandle, url: str) -> list[dict[str, Any]]:
    async with asyncio.timeout(20), emulator.http.ws_connect(url) as socket:
        return [message.json() async for message in socket]


async def test_frames_follow_a_run_to_its_success(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("slow_run", seconds=50)
    task_id = (await client.start())["taskId"]
    seen = await frames(emulator, await address(emulator, client, task_id))
    values = [item["data"]["value"] for item in seen if item["type"] == "progress"]
    assert values == sorted(set(values))
    assert len(values) > 3
    assert values[-1] == 20
    assert seen[-2] == {
        "type": "executing",
        "data": {"node": None, "prompt_id": seen[-2]["data"]["prompt_id"]},
    }
    assert seen[-1]["type"] == "execution_success"


async def test_frames_end_with_the_error_of_a_failed_run(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("slow_run", seconds=50)
    await emulator.admin.add_fault("fail", classes=["gpu_oom"])
    task_id = (await client.start())["taskId"]
    last = (await frames(emulator, await address(emulator, client, task_id)))[-1]
    assert last["type"] == "execution_error"
    assert last["data"]["exception_type"] == "torch.OutOfMemoryError"


async def test_frames_say_when_a_run_was_cancelled(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("slow_run", seconds=5000)
    task_id = (await client.start())["taskId"]
    url = await address(emulator, client, task_id)
    told = asyncio.create_task(frames(emulator, url))
    await client.v1("/task/openapi/cancel", taskId=task_id)
    assert (await told)[-1]["type"] == "execution_interrupted"


async def test_the_socket_needs_its_credential_and_a_known_client(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("slow_run", seconds=100)
    task_id = (await client.start())["taskId"]
    url = (await address(emulator, client, task_id)).replace("ws://", "http://")
    statuses = []
    for wrong in (url.partition("&Rh-Comfy-Auth")[0], url.replace("clientId=", "clientId=0")):
        async with emulator.http.get(wrong) as reply:
            statuses.append(reply.status)
    assert statuses == [401, 404]


async def test_a_listener_that_leaves_does_not_disturb_the_run(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("slow_run", seconds=50)
    task_id = (await client.start())["taskId"]
    url = await address(emulator, client, task_id)
    async with emulator.http.ws_connect(url) as socket:
        first = await socket.receive(timeout=10)
        assert first.type is aiohttp.WSMsgType.TEXT
    assert (await client.finished(task_id))["status"] == "SUCCESS"
