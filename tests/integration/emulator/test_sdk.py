"""The unmodified public SDK (PyPI runninghub-sdk 1.1.9) works against the emulator."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from runninghub_sdk import RunningHubClient
from runninghub_sdk.exceptions import RunningHubError, TaskError
from runninghub_sdk.typedefs import NodeInput, TaskStatus

from tests.support.callback_receiver import Receiver
from tests.support.emulator import KEY, EmulatorHandle
from tests.support.runninghub_http import UPSCALER, photo

WORKFLOW = "1900000000000000001"


@pytest.fixture
def sdk(emulator: EmulatorHandle) -> Iterator[RunningHubClient]:
    with RunningHubClient(KEY, base_url=emulator.base_url, timeout=20) as client:
        yield client


def _nodes(name: str) -> list[NodeInput | dict[str, Any]]:
    return [{"nodeId": "1", "fieldName": "image", "fieldValue": name}]


async def test_sdk_uploads_runs_polls_and_downloads_a_larger_image(
    sdk: RunningHubClient, tmp_path: Path
) -> None:
    def use() -> list[Path]:
        upload = sdk.upload_file(photo(120, 80), "cat.jpg")
        task = sdk.run_ai_app(UPSCALER, _nodes(upload.file_name))
        outputs = sdk.wait_for_completion(task.task_id, poll_interval=0.02, timeout=30)
        return list(sdk.download_outputs(outputs, tmp_path / "out"))

    (path,) = await asyncio.to_thread(use)
    with Image.open(path) as image:
        assert image.size == (240, 160)


async def test_sdk_runs_a_workflow_and_reads_it_by_v2(sdk: RunningHubClient) -> None:
    def use() -> tuple[TaskStatus | None, str]:
        seed: list[NodeInput | dict[str, Any]] = [
            {"nodeId": "3", "fieldName": "seed", "fieldValue": 7}
        ]
        task = sdk.run(WORKFLOW, seed, instance_type="plus", add_metadata=False)
        result = sdk.wait_for_query_v2_completion(task.task_id, poll_interval=0.02, timeout=30)
        assert result.usage is not None
        return result.status, str(result.usage.consume_coins)

    status, coins = await asyncio.to_thread(use)
    assert status is TaskStatus.SUCCESS
    assert int(coins) > 0


async def test_sdk_sees_a_failed_run_and_its_reason_through_v2(
    sdk: RunningHubClient, emulator: EmulatorHandle
) -> None:
    await emulator.admin.add_fault("fail", classes=["gpu_oom"])

    def use() -> tuple[str, str]:
        task = sdk.run_ai_app(UPSCALER, _nodes("example.png"))
        with pytest.raises((TaskError, RunningHubError)):
            sdk.wait_for_completion(task.task_id, poll_interval=0.02, timeout=30)
        reason = sdk.query_v2(task.task_id).failed_reason
        assert reason is not None
        return reason.exception_type, reason.exception_message

    kind, words = await asyncio.to_thread(use)
    assert kind == "torch.OutOfMemoryError"
    assert words.startswith("Allocation on device 0 would exceed allowed memory. (out of memory)")


async def test_sdk_cancels_a_task(tmp_path: Path, sdk: RunningHubClient) -> None:
    def use() -> list[str]:
        task = sdk.run_ai_app(UPSCALER, _nodes("example.png"))
        sdk.cancel(task.task_id)
        seen: list[str] = []
        while not seen or seen[-1] in {"QUEUED", "RUNNING"}:
            seen.append(sdk.get_status(task.task_id).value)
        return seen

    assert (await asyncio.to_thread(use))[-1] == "FAILED"


async def test_sdk_reads_account_and_queue(sdk: RunningHubClient) -> None:
    account = await asyncio.to_thread(sdk.get_account_status)
    queue = await asyncio.to_thread(sdk.get_queue_status)
    keys = await asyncio.to_thread(sdk.list_api_keys)
    assert (account.remain_coins, account.api_type) == ("100000", "SHARED")
    assert (queue.concurrent_limit, queue.total_current_tasks) == (50, "0")
    assert keys[0].is_enabled
    assert await asyncio.to_thread(sdk.validate_api_key) is True


async def test_sdk_finds_that_a_wrong_key_is_invalid(emulator: EmulatorHandle) -> None:
    with RunningHubClient("f" * 32, base_url=emulator.base_url) as wrong:
        assert await asyncio.to_thread(wrong.validate_api_key) is False
        with pytest.raises(RunningHubError) as raised:
            await asyncio.to_thread(wrong.run_ai_app, UPSCALER, _nodes("example.png"))
    assert raised.value.code == 802


async def test_sdk_reads_app_and_workflow_descriptions(sdk: RunningHubClient) -> None:
    demo = await asyncio.to_thread(sdk.get_ai_app_api_demo, UPSCALER)
    graph = await asyncio.to_thread(sdk.get_workflow_json_parsed, WORKFLOW)
    fields = {(item.node_id, item.field_name, item.field_type) for item in demo.node_info_list}
    assert fields == {("1", "image", "IMAGE"), ("548", "value", "INT")}
    assert graph["3"]["class_type"] == "KSampler"


async def test_sdk_reads_a_failed_delivery_and_asks_for_another(
    sdk: RunningHubClient, emulator: EmulatorHandle, receiver: Receiver
) -> None:
    receiver.answers = [500, 500, 500, 500]
    task = await asyncio.to_thread(
        sdk.run_ai_app, UPSCALER, _nodes("example.png"), webhook_url=receiver.url()
    )
    await emulator.admin.wait_for("callback_given_up", task_id=task.task_id)

    failed = await asyncio.to_thread(sdk.get_webhook_detail, task.task_id)
    assert (failed.callback_status, failed.retry_count) == ("FAILED", 3)
    await asyncio.to_thread(sdk.retry_webhook, failed.id, receiver.url("other"))
    await emulator.admin.wait_for("callback_sent", task_id=task.task_id, why="redelivery")

    delivered = await asyncio.to_thread(sdk.get_webhook_detail, task.task_id)
    assert delivered.is_callback_success
    assert receiver.received[-1].path.endswith("/other")
    assert receiver.received[-1].body == receiver.received[0].body


async def test_async_sdk_runs_and_queries(emulator: EmulatorHandle) -> None:
    async with RunningHubClient(KEY, base_url=emulator.base_url) as sdk:
        task = await sdk.async_run_ai_app(UPSCALER, _nodes("example.png"))
        result = await sdk.async_wait_for_query_v2_completion(task.task_id, poll_interval=0.02)
    assert result.results is not None
    assert result.results[0]["outputType"] == "png"


async def test_sdk_output_equals_what_the_judge_wrote_down(
    sdk: RunningHubClient, emulator: EmulatorHandle
) -> None:
    task = await asyncio.to_thread(sdk.run_ai_app, UPSCALER, _nodes("example.png"))
    outputs = await asyncio.to_thread(sdk.wait_for_completion, task.task_id, 0.02)
    async with emulator.http.get(outputs[0].file_url) as reply:
        data = await reply.read()
    (ended,) = await emulator.admin.events("run_ended", task_id=task.task_id)
    assert ended["outputs"][0]["sha256"] == hashlib.sha256(data).hexdigest()
    assert Image.open(io.BytesIO(data)).info["rh-task"] == task.task_id
