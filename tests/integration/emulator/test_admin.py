"""The admin API: the judge's log tells everything once and in order; rules are checked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from services.emulator.journal import FILE_NAME
from tests.support.callback_receiver import Receiver
from tests.support.emulator import KEY, EmulatorHandle, running_emulator
from tests.support.runninghub_http import UPSCALER, RawClient, node, photo


async def test_the_log_tells_a_tasks_whole_life_in_order(
    emulator: EmulatorHandle, client: RawClient, receiver: Receiver
) -> None:
    name = await client.upload(photo(), "cat.jpg")
    nodes = [node("1", "image", name)]
    task_id = (await client.start(nodeInfoList=nodes, webhookUrl=receiver.url("tok")))["taskId"]
    await emulator.admin.wait_for("callback_sent", task_id=task_id)

    entries = await emulator.admin.log()
    assert [item["event"] for item in entries] == [
        "upload",
        "start_received",
        "start_accepted",
        "run_started",
        "paid",
        "run_ended",
        "callback_sent",
    ]
    assert [item["n"] for item in entries] == list(range(1, 8))
    assert [item["mono_s"] for item in entries] == sorted(item["mono_s"] for item in entries)
    upload, received, accepted = entries[:3]
    assert (upload["original"], upload["name"], upload["key"]) == ("cat.jpg", name, KEY)
    assert received["webhook_url"].endswith("/runninghub/tok")
    assert received["body"]["nodeInfoList"] == nodes
    assert (accepted["call"], accepted["task_id"]) == (received["n"], task_id)


async def test_the_log_is_a_file_of_json_lines_that_a_restart_continues(tmp_path: Path) -> None:
    for _ in range(2):
        async with running_emulator(tmp_path) as emulator:
            client = RawClient(emulator.base_url, KEY, emulator.http)
            task_id = (await client.start())["taskId"]
            await emulator.admin.wait_for("run_ended", task_id=task_id)
    lines = [json.loads(line) for line in (tmp_path / FILE_NAME).read_text().splitlines()]
    assert [item["n"] for item in lines] == list(range(1, 11))


async def test_the_log_can_be_waited_on(emulator: EmulatorHandle, client: RawClient) -> None:
    waiting = asyncio.create_task(emulator.admin.log(wait_s=20))
    await client.start()
    async with asyncio.timeout(10):
        assert (await waiting)[0]["event"] == "start_received"


async def test_a_struck_call_and_its_rule_are_in_the_log(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    rule = await emulator.admin.add_fault("code", code=421, count=1)
    await client.start()
    (added,) = await emulator.admin.events("fault_added")
    (fault,) = await emulator.admin.events("fault")
    assert (added["rule"], fault["fault"]) == (
        rule,
        {"action": "code", "code": 421, "count": 1},
    )
    (listed,) = await emulator.admin.faults()
    assert (listed["matched"], listed["fired"]) == (1, 1)


async def test_tasks_show_what_was_decided_for_them(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("callback_lost")
    task_id = (await client.start())["taskId"]
    task = await emulator.admin.task(task_id)
    assert task["faults"] == [{"action": "callback_lost"}]
    assert [item["task_id"] for item in await emulator.admin.tasks()] == [task_id]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"action": "explode"}, "action"),
        ({"action": "code"}, "code"),
        ({"action": "fail"}, "classes"),
        ({"action": "fail", "classes": ["gpu_oom", "typo"]}, "typo"),
        ({"action": "http", "rate": 2}, "rate"),
        ({"action": "http", "when": "later"}, "when"),
        ({"action": "http", "point": "nowhere"}, "point"),
        ({"action": "callback_form", "form": "xml"}, "form"),
        ({"action": "http", "colour": "red"}, "colour"),
    ],
)
async def test_a_rule_that_could_never_act_is_refused(
    emulator: EmulatorHandle, spec: dict[str, Any], field: str
) -> None:
    async with emulator.http.post(f"{emulator.admin_url}/admin/faults", json=spec) as reply:
        assert reply.status == 400
        assert field in (await reply.json())["message"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("wait_s=soon", "wait_s"),
        ("wait_s=nan", "wait_s"),
        ("after=²", "after"),
        ("limit=-1", "limit"),
    ],
)
async def test_a_log_asked_for_in_no_number_is_refused(
    emulator: EmulatorHandle, query: str, field: str
) -> None:
    async with emulator.http.get(f"{emulator.admin_url}/admin/log?{query}") as reply:
        assert reply.status == 400
        assert field in (await reply.json())["message"]


async def test_removing_rules_ends_their_effect(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    rule = await emulator.admin.add_fault("code", code=421)
    assert (await client.start())["errorCode"] == "421"
    url = f"{emulator.admin_url}/admin/faults/{rule}"
    async with emulator.http.delete(url) as reply:
        assert (await reply.json()) == {"removed": 1}
    async with emulator.http.delete(url) as reply:
        assert reply.status == 404
    assert (await client.start())["errorCode"] == ""


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/admin/accounts/{KEY}", {"coins": -1}),
        (f"/admin/accounts/{KEY}", {"colour": "red"}),
        (f"/admin/accounts/{KEY}", []),
        ("/admin/time-scale", {"time_scale": 0}),
    ],
)
async def test_bad_changes_are_refused(emulator: EmulatorHandle, path: str, body: Any) -> None:
    async with emulator.http.put(emulator.admin_url + path, json=body) as reply:
        assert reply.status == 400


async def test_time_can_be_made_faster_while_it_runs(tmp_path: Path) -> None:
    async with running_emulator(tmp_path, time_scale=100.0) as emulator:
        url = f"{emulator.admin_url}/admin/time-scale"
        async with emulator.http.put(url, json={"time_scale": 0.001}) as reply:
            assert reply.status == 200
        client = RawClient(emulator.base_url, KEY, emulator.http)
        assert (await client.run())["status"] == "SUCCESS"


async def test_outputs_can_be_ended_by_hand(emulator: EmulatorHandle, client: RawClient) -> None:
    reply = await client.run(UPSCALER)
    await emulator.admin.expire_outputs(reply["taskId"], 404)
    assert (await client.download(reply["results"][0]["url"]))[0] == 404


async def test_health_names_the_providers_address(emulator: EmulatorHandle) -> None:
    async with emulator.http.get(f"{emulator.admin_url}/admin/health") as reply:
        assert await reply.json() == {"status": "ok", "base_url": emulator.base_url}
