"""Each kind of reply has the fields and types of the recorded samples in tests/data/runninghub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.callback_receiver import Receiver
from tests.support.emulator import EXCLUSIVE_KEY, KEY, EmulatorHandle
from tests.support.runninghub_http import UPSCALER, VIDEO_UPSCALER, RawClient, node, photo

SAMPLES = Path(__file__).parents[2] / "data" / "runninghub"
# What may stand where a sample has something else: the field is optional on the wire.
FREE = {"netWssUrl", "consumeCoins", "remainMoney", "currency", "taskUsageList"}


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


def shape(value: Any, name: str = "") -> Any:
    """Reduce JSON to field names and types; JSON inside strings counts as what it holds."""
    if name in FREE:
        return "free"
    if isinstance(value, dict):
        return {key: shape(item, key) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if name in {"eventData", "promptTips"} and isinstance(value, str) and value:
        return ["json", shape(json.loads(value))]
    return type(value).__name__


def assert_like(reply: Any, name: str) -> None:
    assert shape(reply) == shape(sample(name))


async def started(client: RawClient, **body: Any) -> str:
    return str((await client.start(**body))["taskId"])


async def test_accepted_starts(client: RawClient) -> None:
    v1 = await client.v1("/task/openapi/ai-app/run", webappId=UPSCALER, nodeInfoList=[])
    assert_like(v1, "start-v1-ok-queued.json")
    assert_like(await client.start(), "start-v2-ok.json")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (415, "start-v1-415.json"),
        (416, "start-v1-416.json"),
        (421, "start-v1-421.json"),
        (433, "start-v1-433.json"),
        (803, "start-v1-803.json"),
        (810, "start-v1-810.json"),
        (901, "start-v1-901.json"),
        (802, "start-v1-unauthorized.json"),
        (1, "start-v1-key-unknown.json"),
    ],
)
async def test_v1_refusals_equal_the_samples(
    emulator: EmulatorHandle, client: RawClient, code: int, name: str
) -> None:
    await emulator.admin.add_fault("code", code=code)
    reply = await client.v1("/task/openapi/ai-app/run", webappId=UPSCALER, nodeInfoList=[])
    assert reply == sample(name)


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ({"code": 421}, "start-v2-421.json"),
        ({"code": 812}, "start-v2-812.json"),
        ({"code": 1520}, "start-v2-1520.json"),
        ({"code": 802}, "start-v2-unauthorized.json"),
        (
            {
                "code": 421,
                "int_code": True,
                "text": "api queue limit reached, please retry later",
            },
            "start-v2-421-int.json",
        ),
    ],
)
async def test_v2_refusals_equal_the_samples(
    emulator: EmulatorHandle, client: RawClient, fault: dict[str, Any], name: str
) -> None:
    await emulator.admin.add_fault("code", **fault)
    assert await client.start() == sample(name)


async def test_a_wrong_node_is_named_as_in_the_sample(client: RawClient) -> None:
    reply = await client.start(nodeInfoList=[node("548", "strength", "1")])
    assert_like(reply, "start-v2-803.json")
    assert reply["errorMessage"] == (
        "NODE_INFO_MISMATCH(nodeId=548, fieldName=strength, reason=field_not_found_in_node_inputs)"
    )


async def test_status_and_outputs_along_a_run(emulator: EmulatorHandle, client: RawClient) -> None:
    await emulator.admin.add_fault("slow_run", seconds=60)
    task_id = await started(client)
    assert await client.v1("/task/openapi/status", taskId=task_id) == sample(
        "status-v1-queued.json"
    )
    assert await client.v1("/task/openapi/outputs", taskId=task_id) == sample("outputs-v1-813.json")
    assert_like(await client.v2("query", taskId=task_id), "query-v2-queued.json")

    await emulator.admin.wait_for("run_started", task_id=task_id)
    assert await client.v1("/task/openapi/status", taskId=task_id) == sample(
        "status-v1-running.json"
    )
    running = await client.v1("/task/openapi/outputs", taskId=task_id)
    assert_like(running, "outputs-v1-804.json")
    assert running["data"]["netWssUrl"].startswith("ws://127.0.0.1:")
    assert_like(await client.v2("query", taskId=task_id), "query-v2-running.json")

    await client.finished(task_id)
    assert await client.v1("/task/openapi/status", taskId=task_id) == sample(
        "status-v1-success.json"
    )
    assert_like(await client.v1("/task/openapi/outputs", taskId=task_id), "outputs-v1-success.json")
    assert_like(await client.v2("query", taskId=task_id), "query-v2-success.json")


async def test_a_failed_run(emulator: EmulatorHandle, client: RawClient) -> None:
    await emulator.admin.add_fault("fail", classes=["gpu_oom"])
    task_id = await started(client)
    assert_like(await client.finished(task_id), "query-v2-failed.json")
    assert await client.v1("/task/openapi/status", taskId=task_id) == sample(
        "status-v1-failed.json"
    )
    assert_like(await client.v1("/task/openapi/outputs", taskId=task_id), "outputs-v1-805.json")


async def test_outputs_that_are_null_or_empty(emulator: EmulatorHandle, client: RawClient) -> None:
    await emulator.admin.add_fault("fail", classes=["no_output"])
    await emulator.admin.add_fault("outputs_null", point="outputs", count=1)
    task_id = await started(client)
    await client.finished(task_id)
    first = await client.v1("/task/openapi/outputs", taskId=task_id)
    second = await client.v1("/task/openapi/outputs", taskId=task_id)
    assert (first, second) == (sample("outputs-v1-null.json"), sample("outputs-v1-empty.json"))


async def test_unknown_tasks(client: RawClient) -> None:
    assert await client.v1("/task/openapi/status", taskId="1") == sample("status-v1-807.json")
    unknown = await client.v2("query", taskId="1990000000000000034")
    assert unknown == sample("query-v2-1004.json")


async def test_cancelled_tasks(client: RawClient) -> None:
    task_id = await started(client)
    assert await client.v1("/task/openapi/cancel", taskId=task_id) == sample("cancel-v1-ok.json")
    ended = await client.finished(task_id)
    assert {**ended, "taskId": "1990000000000000035"} == sample(
        "query-v2-cancelled-empty-status.json"
    )
    late = await client.v1("/task/openapi/cancel", taskId=task_id)
    assert late == sample("cancel-v1-ended.json")


async def test_uploads(emulator: EmulatorHandle, client: RawClient) -> None:
    assert_like(await client.upload_v1(photo()), "upload-v1-ok.json")
    assert_like(await client.upload_v2(photo()), "upload-v2-ok.json")
    wrong = RawClient(emulator.base_url, "f" * 32, emulator.http)
    assert await wrong.upload_v2(photo()) == sample("upload-v2-401.json")
    await emulator.admin.add_fault("code", point="upload", code=808, count=1)
    assert await client.upload_v1(photo()) == sample("upload-v1-808.json")


async def test_account_and_queue(emulator: EmulatorHandle, client: RawClient) -> None:
    assert_like(await client.v1("/uc/openapi/accountStatus"), "account-v1.json")
    assert_like(await client.v2_get("queue/status"), "queue-v2.json")


async def test_webhook_detail(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver
) -> None:
    receiver.answers = [502, 502, 502, 502]
    task_id = await started(client, webhookUrl=receiver.url())
    await emulator.admin.wait_for("callback_given_up", task_id=task_id)
    detail = await client.v1("/task/openapi/getWebhookDetail", taskId=task_id)
    assert {**shape(detail)["data"], "eventData": ""} == {
        **shape(sample("webhook-detail-failed.json"))["data"],
        "eventData": "",
    }
    assert detail["data"]["retryCount"] == 3
    other = await started(client)
    await client.finished(other)
    none = await client.v1("/task/openapi/getWebhookDetail", taskId=other)
    assert none == sample("webhook-detail-none.json")


@pytest.mark.parametrize(
    ("app", "faults", "name"),
    [
        (UPSCALER, [], "webhook-v2-success-image.json"),
        (VIDEO_UPSCALER, [], "webhook-v2-success-image.json"),
        (UPSCALER, ["gpu_oom"], "webhook-v2-failure-oom.json"),
        (UPSCALER, ["moderation"], "webhook-v2-failure-nsfw.json"),
        (UPSCALER, ["moderation_1501"], "webhook-v2-failure-moderation-1501.json"),
        (UPSCALER, ["node_missing"], "webhook-v2-failure-node-missing.json"),
        (UPSCALER, ["infra"], "webhook-v2-failure-infra.json"),
        (UPSCALER, ["input_unreadable"], "webhook-v2-failure-input-unreadable.json"),
        (UPSCALER, ["no_output"], "webhook-v2-success-empty-results.json"),
    ],
)
async def test_v2_callbacks(
    emulator: EmulatorHandle,
    client: RawClient,
    receiver: Receiver,
    app: str,
    faults: list[str],
    name: str,
) -> None:
    if faults:
        await emulator.admin.add_fault("fail", classes=faults)
    await client.start(app, webhookUrl=receiver.url())
    assert_like((await receiver.next()).json, name)


@pytest.mark.parametrize(
    ("faults", "name"),
    [
        ([], "webhook-v1-success-string-eventdata.json"),
        (["gpu_oom"], "webhook-v1-failure-string-eventdata.json"),
    ],
)
async def test_v1_callbacks(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver, faults: list[str], name: str
) -> None:
    if faults:
        await emulator.admin.add_fault("fail", classes=faults)
    await client.v1(
        "/task/openapi/ai-app/run",
        webappId=UPSCALER,
        nodeInfoList=[],
        webhookUrl=receiver.url(),
    )
    assert_like((await receiver.next()).json, name)


async def test_odd_callbacks(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver
) -> None:
    await emulator.admin.add_fault("callback_form", form="toplevel", count=1)
    await client.start(webhookUrl=receiver.url())
    toplevel = (await receiver.next()).json
    # The sample is of an older day, without the usage list that a success carries now.
    assert shape(toplevel).keys() == shape(sample("webhook-v2-toplevel-task-object.json")).keys()
    await emulator.admin.add_fault("callback_unknown_event", count=1)
    await client.start(webhookUrl=receiver.url())
    assert_like((await receiver.next()).json, "webhook-unknown-event.json")
    await emulator.admin.add_fault("callback_unknown_task", count=1)
    await client.start(webhookUrl=receiver.url())
    unknown = (await receiver.next()).json
    assert unknown["taskId"] == sample("webhook-unknown-task.json")["taskId"]


async def test_exclusive_keys_meet_415(emulator: EmulatorHandle) -> None:
    await emulator.admin.put_account(EXCLUSIVE_KEY, concurrency=0)
    client = RawClient(emulator.base_url, EXCLUSIVE_KEY, emulator.http)
    reply = await client.v1("/task/openapi/ai-app/run", webappId=UPSCALER, nodeInfoList=[])
    assert reply == sample("start-v1-415.json")


async def test_node_errors_do_not_refuse_a_start(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("node_errors", key=KEY)
    reply = await client.v1("/task/openapi/ai-app/run", webappId=UPSCALER, nodeInfoList=[])
    assert_like(reply, "start-v1-ok-with-node-errors.json")
    assert "14" in json.loads(reply["data"]["promptTips"])["node_errors"]
