"""A restart of the emulator forgets nothing that the provider would remember."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.support.callback_receiver import Receiver
from tests.support.emulator import KEY, running_emulator
from tests.support.runninghub_http import RawClient, node, photo


async def test_uploads_and_ended_tasks_are_known_after_a_restart(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with running_emulator(tmp_path) as emulator:
        client = RawClient(emulator.base_url, KEY, emulator.http)
        name = await client.upload(photo(), "cat.jpg")
        nodes = [node("1", "image", name)]
        good = await client.run(nodeInfoList=nodes, webhookUrl=receiver.url())
        await emulator.admin.add_fault("fail", classes=["gpu_oom"])
        bad = await client.run()
        await emulator.admin.wait_for("callback_sent", task_id=good["taskId"])
        first = await client.v1("/task/openapi/getWebhookDetail", taskId=good["taskId"])

    old_url = emulator.base_url
    async with running_emulator(tmp_path) as emulator:
        client = RawClient(emulator.base_url, KEY, emulator.http)
        assert await client.v2("query", taskId=good["taskId"]) == good
        assert await client.v2("query", taskId=bad["taskId"]) == bad
        status, data = await client.download(
            good["results"][0]["url"].replace(old_url, emulator.base_url)
        )
        (ended,) = await emulator.admin.events("run_ended", task_id=good["taskId"])
        assert (status, hashlib.sha256(data).hexdigest()) == (200, ended["outputs"][0]["sha256"])
        again = await client.v1("/task/openapi/getWebhookDetail", taskId=good["taskId"])
        for detail in (first, again):
            # The journal dates a delivery by its end, milliseconds after the record's start.
            del detail["data"]["createTime"], detail["data"]["updateTime"]
        assert again == first
        await emulator.admin.add_fault("fail", classes=["infra"], file="cat")
        assert (await client.run(nodeInfoList=nodes))["status"] == "FAILED"


async def test_what_was_under_way_runs_anew_and_calls_back(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with running_emulator(tmp_path, image_run_s=100_000.0) as emulator:
        client = RawClient(emulator.base_url, KEY, emulator.http)
        await emulator.admin.add_fault("slow_run", seconds=30)
        await emulator.admin.add_fault("fail", classes=["moderation", "moderation"])
        task_id = (await client.start(webhookUrl=receiver.url()))["taskId"]
        await emulator.admin.wait_for("run_started", task_id=task_id)
    async with running_emulator(tmp_path) as emulator:
        client = RawClient(emulator.base_url, KEY, emulator.http)
        ended = await client.finished(task_id)
        callback = await receiver.next()
    assert (ended["status"], callback.json["taskId"]) == ("FAILED", task_id)
    assert ended["failedReason"]["exception_message"] == "image contains Porn content"


async def test_a_callback_that_was_never_tried_is_sent_after_a_restart(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with running_emulator(tmp_path) as emulator:
        client = RawClient(emulator.base_url, KEY, emulator.http)
        await emulator.admin.add_fault("callback_late", seconds=1000)
        task_id = (await client.start(webhookUrl=receiver.url()))["taskId"]
        await emulator.admin.wait_for("run_ended", task_id=task_id)
    async with running_emulator(tmp_path, time_scale=0.0001):
        assert (await receiver.next()).json["taskId"] == task_id


async def test_a_key_added_by_hand_is_known_after_a_restart(tmp_path: Path) -> None:
    async with running_emulator(tmp_path) as emulator:
        await emulator.admin.put_account("b" * 32, concurrency=7)
    async with running_emulator(tmp_path) as emulator:
        keys = {item["key"]: item["concurrency"] for item in await emulator.admin.accounts()}
    assert keys["b" * 32] == 7


async def test_the_journal_tells_all_that_a_judge_needs_of_an_ended_run(tmp_path: Path) -> None:
    async with running_emulator(tmp_path) as emulator:
        client = RawClient(emulator.base_url, KEY, emulator.http)
        await emulator.admin.add_fault("fail", classes=["gpu_oom"])
        task_id = (await client.run())["taskId"]
        (ended,) = await emulator.admin.events("run_ended", task_id=task_id)
    assert ended["reason"]["exception_type"] == "torch.OutOfMemoryError"
    assert json.loads(json.dumps(ended)) == ended
