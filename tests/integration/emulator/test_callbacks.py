"""Callbacks arrive as the provider sends them, and go wrong exactly as told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.callback_receiver import Receiver
from tests.support.emulator import KEY, EmulatorHandle, running_emulator
from tests.support.runninghub_http import UPSCALER, RawClient


async def start(client: RawClient, receiver: Receiver, path: str = "a-token") -> str:
    reply = await client.start(webhookUrl=receiver.url(path))
    assert reply["errorCode"] == ""
    return str(reply["taskId"])


async def deliveries(emulator: EmulatorHandle, task_id: str) -> list[dict[str, Any]]:
    return await emulator.admin.events("callback_sent", task_id=task_id)


async def test_a_v2_task_calls_back_once_with_what_a_query_says(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver
) -> None:
    task_id = await start(client, receiver, "tok-1")
    callback = await receiver.next()
    query = await client.v2("query", taskId=task_id)
    body = callback.json
    assert (callback.path, body["event"], body["taskId"]) == (
        "/runninghub/tok-1",
        "TASK_END",
        task_id,
    )
    assert {**body["eventData"], "taskUsageList": None} == query
    assert body["eventData"]["taskUsageList"][0]["taskId"] == int(task_id)
    await emulator.admin.wait_for("callback_sent", task_id=task_id)


async def test_the_judge_keeps_the_exact_bytes_of_each_delivery(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver
) -> None:
    task_id = await start(client, receiver)
    callback = await receiver.next()
    (sent,) = await emulator.admin.wait_for("callback_sent", task_id=task_id)
    assert base64.b64decode(sent["body"]) == callback.body
    assert sent["sha256"] == hashlib.sha256(callback.body).hexdigest()
    assert (sent["delivered"], sent["http_status"], sent["response"]) == (True, 200, "kept")


async def test_a_v1_task_calls_back_with_a_string(client: RawClient, receiver: Receiver) -> None:
    reply = await client.v1(
        "/task/openapi/ai-app/run", webappId=UPSCALER, nodeInfoList=[], webhookUrl=receiver.url()
    )
    body = (await receiver.next()).json
    inner = json.loads(body["eventData"])
    outputs = await client.v1("/task/openapi/outputs", taskId=reply["data"]["taskId"])
    assert inner == {name: outputs[name] for name in ("code", "msg", "data")}


@pytest.mark.parametrize(("form", "kind"), [("object", dict), ("string", str)])
async def test_the_form_of_each_generation_is_a_setting(
    tmp_path: Path, receiver: Receiver, form: str, kind: type
) -> None:
    async with running_emulator(tmp_path, webhook_v1_form=form, webhook_v2_form=form) as emulator:
        client = RawClient(emulator.base_url, KEY, emulator.http)
        await client.start(webhookUrl=receiver.url())
        v2 = (await receiver.next()).json
        await client.v1(
            "/task/openapi/ai-app/run",
            webappId=UPSCALER,
            nodeInfoList=[],
            webhookUrl=receiver.url(),
        )
        v1 = (await receiver.next()).json
    assert isinstance(v2["eventData"], kind)
    assert isinstance(v1["eventData"], kind)


async def test_a_failing_receiver_is_tried_again_on_schedule_until_it_answers(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver
) -> None:
    receiver.answers = [500, 404]
    task_id = await start(client, receiver)
    sent = await emulator.admin.wait_for("callback_sent", task_id=task_id, times=3)
    assert [item["why"] for item in sent] == ["first", "retry", "retry"]
    assert [item["http_status"] for item in sent] == [500, 404, 200]
    gaps = [later["mono_s"] - early["mono_s"] for early, later in itertools.pairwise(sent)]
    # 20 and 60 provider seconds at 0.01.
    assert gaps[0] >= 0.19
    assert gaps[1] >= 0.59
    assert len({item.body for item in receiver.received}) == 1


async def test_the_provider_gives_up_after_three_retries(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver
) -> None:
    receiver.answers = [500] * 10
    task_id = await start(client, receiver)
    await emulator.admin.wait_for("callback_given_up", task_id=task_id)
    assert len(await deliveries(emulator, task_id)) == 4
    detail = await client.v1("/task/openapi/getWebhookDetail", taskId=task_id)
    assert (detail["data"]["callbackStatus"], detail["data"]["retryCount"]) == ("FAILED", 3)


async def test_a_silent_receiver_is_a_failed_delivery(tmp_path: Path, receiver: Receiver) -> None:
    receiver.silent = asyncio.Event()
    async with running_emulator(tmp_path, webhook_timeout_s=0.1) as emulator:
        client = RawClient(emulator.base_url, KEY, emulator.http)
        task_id = await start(client, receiver)
        (first,) = await emulator.admin.wait_for("callback_sent", task_id=task_id)
        receiver.silent.set()
        sent = await emulator.admin.wait_for("callback_sent", task_id=task_id, times=2)
    assert (first["delivered"], first["error"]) == (False, "timed out")
    assert sent[1]["delivered"]


async def test_an_absent_receiver_is_a_failed_delivery(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    reply = await client.start(webhookUrl="http://127.0.0.1:1/runninghub/token")
    (sent,) = await emulator.admin.wait_for("callback_sent", task_id=reply["taskId"])
    assert (sent["delivered"], sent["http_status"]) == (False, None)
    assert "ClientConnectorError" in sent["error"]


async def test_a_lost_callback_is_never_delivered_but_can_be_asked_for(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver
) -> None:
    await emulator.admin.add_fault("callback_lost")
    task_id = await start(client, receiver)
    await emulator.admin.wait_for("callback_lost", task_id=task_id)
    detail = await client.v1("/task/openapi/getWebhookDetail", taskId=task_id)
    assert (detail["data"]["callbackStatus"], detail["data"]["retryCount"]) == ("FAILED", 3)
    assert await deliveries(emulator, task_id) == []
    await client.v1("/task/openapi/retryWebhook", webhookId=detail["data"]["id"])
    assert (await receiver.next()).json["taskId"] == task_id


async def test_a_late_callback_comes_long_after_the_end(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver
) -> None:
    await emulator.admin.add_fault("callback_late", seconds=50)
    task_id = await start(client, receiver)
    await receiver.next()
    (ended,) = await emulator.admin.events("run_ended", task_id=task_id)
    (sent,) = await emulator.admin.wait_for("callback_sent", task_id=task_id)
    assert sent["mono_s"] - ended["mono_s"] >= 0.49


@pytest.mark.parametrize("concurrent", [False, True])
async def test_a_duplicate_is_the_same_bytes_again(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver, concurrent: bool
) -> None:
    await emulator.admin.add_fault("callback_duplicate", times=3, concurrent=concurrent)
    if concurrent:
        receiver.silent = asyncio.Event()
    task_id = await start(client, receiver)
    bodies = [(await receiver.next()).body for _ in range(3)]
    if receiver.silent is not None:
        assert await deliveries(emulator, task_id) == []  # all three are under way at once
        receiver.silent.set()
    sent = await emulator.admin.wait_for("callback_sent", task_id=task_id, times=3)
    assert len(set(bodies)) == 1
    assert all(item["delivered"] for item in sent)


async def test_an_early_callback_arrives_before_the_start_is_answered(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver
) -> None:
    await emulator.admin.add_fault("callback_early")
    receiver.silent = asyncio.Event()
    answer = asyncio.create_task(start(client, receiver))
    callback = await receiver.next()
    assert not answer.done()
    receiver.silent.set()
    assert callback.json["taskId"] == await answer


@pytest.mark.parametrize(
    ("order", "words"),
    [("wrong_first", ["FAILED", "SUCCESS"]), ("wrong_last", ["SUCCESS", "FAILED"])],
)
async def test_contradicting_callbacks_leave_the_query_as_the_truth(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver, order: str, words: list[str]
) -> None:
    await emulator.admin.add_fault("callback_contradictory", order=order)
    task_id = await start(client, receiver)
    said = [(await receiver.next()).json["eventData"]["status"] for _ in range(2)]
    assert said == words
    assert (await client.finished(task_id))["status"] == "SUCCESS"


async def test_a_malformed_callback_has_cut_event_data(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver
) -> None:
    await emulator.admin.add_fault("callback_malformed")
    task_id = await start(client, receiver)
    body = (await receiver.next()).json
    assert body["taskId"] == task_id
    with pytest.raises(json.JSONDecodeError):
        json.loads(body["eventData"])


async def test_a_failed_run_tells_its_reason_to_the_receiver(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver
) -> None:
    await emulator.admin.add_fault("fail", classes=["moderation"])
    await start(client, receiver)
    data = (await receiver.next()).json["eventData"]
    assert (data["status"], data["errorCode"]) == ("FAILED", "805")
    assert data["failedReason"]["traceback"] == []


async def test_only_the_owner_may_read_or_repeat_a_callback(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver
) -> None:
    task_id = await start(client, receiver)
    await receiver.next()
    await emulator.admin.wait_for("callback_sent", task_id=task_id)
    detail = (await client.v1("/task/openapi/getWebhookDetail", taskId=task_id))["data"]
    await emulator.admin.put_account("b" * 32)
    other = RawClient(emulator.base_url, "b" * 32, emulator.http)
    foreign = await other.v1("/task/openapi/getWebhookDetail", taskId=task_id)
    repeat = await other.v1("/task/openapi/retryWebhook", webhookId=detail["id"])
    assert (foreign["code"], repeat["code"]) == (1, 1)
    assert detail["userApiKey"] == KEY[:4] + "*" * 24 + KEY[-4:]


async def test_a_cancelled_task_does_not_call_back(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver
) -> None:
    task_id = await start(client, receiver)
    await client.v1("/task/openapi/cancel", taskId=task_id)
    await client.finished(task_id)
    last = await start(client, receiver)
    assert (await receiver.next()).json["taskId"] == last
