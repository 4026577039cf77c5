"""Keys, their limits and their balance are kept as the provider keeps them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.emulator import EXCLUSIVE_KEY, KEY, SECOND_KEY, EmulatorHandle, running_emulator
from tests.support.runninghub_http import UPSCALER, RawClient


def client_of(emulator: EmulatorHandle, key: str) -> RawClient:
    return RawClient(emulator.base_url, key, emulator.http)


async def test_a_full_key_answers_421_until_a_task_ends(emulator: EmulatorHandle) -> None:
    client = client_of(emulator, SECOND_KEY)
    replies = [await client.start() for _ in range(4)]
    assert [item["errorCode"] for item in replies] == ["", "", "", "421"]
    await client.finished(replies[0]["taskId"])
    assert (await client.start())["errorCode"] == ""


async def test_concurrency_is_never_exceeded_under_a_rush(emulator: EmulatorHandle) -> None:
    client = client_of(emulator, SECOND_KEY)
    replies = await asyncio.gather(*(client.start() for _ in range(30)))
    assert sum(item["errorCode"] == "" for item in replies) == 3
    accepted = await emulator.admin.events("start_accepted")
    assert max(item["current"] for item in accepted) == 3


async def test_accounts_are_full_independently(emulator: EmulatorHandle) -> None:
    await emulator.admin.put_account(SECOND_KEY, concurrency=0)
    assert (await client_of(emulator, SECOND_KEY).start())["errorCode"] == "421"
    assert (await client_of(emulator, KEY).start())["errorCode"] == ""


async def test_the_personal_queue_waits_instead_of_415(emulator: EmulatorHandle) -> None:
    client = client_of(emulator, EXCLUSIVE_KEY)
    first = [(await client.start())["taskId"] for _ in range(2)]
    assert (await client.start())["errorCode"] == "415"
    waiting = await client.start(usePersonalQueue="true")
    queue = (await client.v2_get("queue/status"))["data"]
    assert (queue["totalCurrentTasks"], waiting["status"]) == ("3", "QUEUED")
    assert (await client.finished(waiting["taskId"]))["status"] == "SUCCESS"
    ended = await emulator.admin.events("run_ended")
    (began,) = await emulator.admin.events("run_started", task_id=waiting["taskId"])
    assert min(item["n"] for item in ended if item["task_id"] in first) < began["n"]


async def test_a_waiting_task_is_cancelled_at_once(emulator: EmulatorHandle) -> None:
    await emulator.admin.put_account(EXCLUSIVE_KEY, concurrency=0)
    client = client_of(emulator, EXCLUSIVE_KEY)
    task_id = (await client.start(usePersonalQueue=True))["taskId"]
    await client.v1("/task/openapi/cancel", taskId=task_id)
    assert (await client.v2("query", taskId=task_id))["status"] == ""
    assert (await client.v2_get("queue/status"))["data"]["totalCurrentTasks"] == "0"


async def test_a_raised_limit_lets_waiting_tasks_in(emulator: EmulatorHandle) -> None:
    await emulator.admin.put_account(EXCLUSIVE_KEY, concurrency=0)
    client = client_of(emulator, EXCLUSIVE_KEY)
    task_id = (await client.start(usePersonalQueue=True))["taskId"]
    await emulator.admin.put_account(EXCLUSIVE_KEY, concurrency=1)
    assert (await client.finished(task_id))["status"] == "SUCCESS"


async def test_the_personal_queue_ends_at_a_thousand(emulator: EmulatorHandle) -> None:
    await emulator.admin.put_account(EXCLUSIVE_KEY, concurrency=0)
    client = client_of(emulator, EXCLUSIVE_KEY)
    for _ in range(10):
        await asyncio.gather(*(client.start(usePersonalQueue=True) for _ in range(100)))
    assert (await client.start(usePersonalQueue=True))["errorCode"] == "814"


@pytest.mark.parametrize(
    ("key", "changes", "v1", "v2"),
    [
        (KEY, {"coins": 0}, 812, "812"),
        (SECOND_KEY, {"coins": 0}, 416, "416"),
        (KEY, {"state": "revoked"}, 802, "1601"),
        (KEY, {"state": "free"}, 801, "801"),
        (KEY, {"state": "expired"}, 436, "436"),
        (KEY, {"machines": []}, 435, "435"),
    ],
)
async def test_an_account_in_trouble_refuses_starts(
    emulator: EmulatorHandle, key: str, changes: dict[str, Any], v1: int, v2: str
) -> None:
    await emulator.admin.put_account(key, **changes)
    client = client_of(emulator, key)
    old = await client.v1("/task/openapi/ai-app/run", webappId=UPSCALER, nodeInfoList=[])
    new = await client.start()
    assert (old["code"], new["errorCode"]) == (v1, v2)


async def test_an_unknown_key_is_refused_everywhere(emulator: EmulatorHandle) -> None:
    client = client_of(emulator, "f" * 32)
    v1 = [
        await client.v1(path, taskId="1")
        for path in (
            "/task/openapi/status",
            "/task/openapi/outputs",
            "/task/openapi/cancel",
            "/uc/openapi/accountStatus",
            "/task/openapi/getWebhookDetail",
        )
    ]
    assert {item["code"] for item in v1} == {802}
    assert (await client.v2("query", taskId="1"))["errorCode"] == "1601"
    assert (await client.upload_v1(b"x"))["msg"] == "API Key不存在"
    assert (await client.v2_get("queue/status"))["code"] == 401


@pytest.mark.parametrize("where", ["bearer", "apiKey", "apikey"])
async def test_the_key_is_found_wherever_clients_put_it(
    emulator: EmulatorHandle, where: str
) -> None:
    headers = {"Authorization": f"Bearer {KEY}"} if where == "bearer" else {}
    body = {} if where == "bearer" else {where: KEY}
    url = f"{emulator.base_url}/uc/openapi/accountStatus"
    headers["Host"] = "www.runninghub.cn"
    async with emulator.http.post(url, json=body, headers=headers) as reply:
        assert (await reply.json())["code"] == 0


async def test_a_task_of_another_account_does_not_exist(emulator: EmulatorHandle) -> None:
    task_id = (await client_of(emulator, KEY).start())["taskId"]
    other = client_of(emulator, SECOND_KEY)
    assert (await other.v2("query", taskId=task_id))["errorCode"] == "1004"
    assert (await other.v1("/task/openapi/cancel", taskId=task_id))["code"] == 807


async def test_a_cancelled_run_pays_for_what_it_ran(tmp_path: Path) -> None:
    async with running_emulator(tmp_path, image_run_s=1000.0, run_jitter=0.0) as emulator:
        client = client_of(emulator, KEY)
        task_id = (await client.start())["taskId"]
        await emulator.admin.wait_for("run_started", task_id=task_id)
        await client.v1("/task/openapi/cancel", taskId=task_id)
        (ended,) = await emulator.admin.wait_for("run_ended", task_id=task_id)
    assert ended["status"] == "CANCEL"
    assert 0 < ended["coins"] < 200
