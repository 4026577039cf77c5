"""Every fault of a call happens on the wire, and the judge's log says whether a start counted."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from tests.support.emulator import KEY, SECOND_KEY, EmulatorHandle
from tests.support.runninghub_http import UPSCALER, VESTE_AI, RawClient, photo


async def raw_start(emulator: EmulatorHandle, timeout_s: float = 5.0) -> tuple[int, str, str]:
    """Start the Upscaler on a connection of its own; return status, content type and text."""
    headers = {"Authorization": f"Bearer {KEY}"}
    url = f"{emulator.base_url}/openapi/v2/run/ai-app/{UPSCALER}"
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with (
        aiohttp.ClientSession(timeout=timeout) as http,
        http.post(url, json={"nodeInfoList": []}, headers=headers) as reply,
    ):
        return reply.status, reply.content_type, await reply.text()


CODES = (
    *(1, 301, 380, 401, 412, 415, 416, 421, 423, 433, 435, 436, 500, 605),
    *(801, 802, 803, 806, 807, 808, 809, 810, 811, 812, 814, 901),
    *range(1000, 1016),
    *(1101, 1404, 1500, 1501, 1504, 1505, 1520, 1601),
)


async def test_every_code_can_refuse_a_start(emulator: EmulatorHandle, client: RawClient) -> None:
    seen = {}
    for code in CODES:
        rule = await emulator.admin.add_fault("code", code=code, count=2)
        v2 = await client.start()
        v1 = await client.v1("/task/openapi/ai-app/run", webappId=UPSCALER, nodeInfoList=[])
        seen[code] = (v1["code"], v2["errorCode"], bool(v1["msg"] and v2["errorMessage"]))
        assert rule
        assert v2["taskId"] == ""
    bad_keys = {1, 401, 802}
    assert seen == {code: (code, "1601" if code in bad_keys else str(code), True) for code in CODES}
    assert await emulator.admin.events("start_accepted") == []
    assert len(await emulator.admin.events("start_refused")) == 2 * len(CODES)


async def test_a_code_can_strike_an_upload_and_a_query(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("code", point="upload", code=1013, count=1)
    await emulator.admin.add_fault("code", point="query", code=1005, count=1)
    task_id = (await client.start())["taskId"]
    assert (await client.upload_v2(photo()))["code"] == 1013
    struck = await client.v2("query", taskId=task_id)
    assert (struck["taskId"], struck["status"], struck["errorCode"]) == (task_id, "", "1005")
    assert (await client.finished(task_id))["status"] == "SUCCESS"


async def test_a_refused_421_can_carry_an_id_of_no_task(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("code", code=421, task_id="refused")
    reply = await client.start()
    assert (reply["errorCode"], reply["status"], len(reply["taskId"])) == ("421", "RUNNING", 19)
    assert (await client.v2("query", taskId=reply["taskId"]))["errorCode"] == "1004"


async def test_a_421_with_a_task_id_can_have_been_accepted(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("code", code=421, task_id="accepted")
    reply = await client.start()
    assert reply["errorCode"] == "421"
    assert (await client.finished(reply["taskId"]))["status"] == "SUCCESS"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_http_errors_come_as_html_pages(emulator: EmulatorHandle, status: int) -> None:
    await emulator.admin.add_fault("http", status=status)
    got, kind, text = await raw_start(emulator)
    assert (got, kind) == (status, "text/html")
    assert text.startswith("<!DOCTYPE html>")
    assert await emulator.admin.events("start_accepted") == []


async def test_http_errors_can_be_json(emulator: EmulatorHandle) -> None:
    await emulator.admin.add_fault("http", status=401, html=False)
    assert (await raw_start(emulator))[:2] == (401, "application/json")


async def test_a_502_can_hide_an_accepted_start(emulator: EmulatorHandle) -> None:
    await emulator.admin.add_fault("http", status=502, when="after")
    assert (await raw_start(emulator))[0] == 502
    assert len(await emulator.admin.events("start_accepted")) == 1


async def test_a_reply_can_be_cut_json(emulator: EmulatorHandle) -> None:
    await emulator.admin.add_fault("garbage")
    status, _, text = await raw_start(emulator)
    assert (status, text) == (200, '{"code":0,"msg":"succ')


@pytest.mark.parametrize(("when", "accepted"), [("before", 0), ("after", 1)])
async def test_the_connection_is_reset_before_or_after_accepting(
    emulator: EmulatorHandle, when: str, accepted: int
) -> None:
    await emulator.admin.add_fault("reset", when=when)
    with pytest.raises(aiohttp.ClientConnectionError):
        await raw_start(emulator)
    assert len(await emulator.admin.events("start_received")) == 1
    assert len(await emulator.admin.events("start_accepted")) == accepted


async def test_a_reset_is_a_tcp_reset(emulator: EmulatorHandle) -> None:
    await emulator.admin.add_fault("reset", point="query")
    host, _, port = emulator.base_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b'POST /openapi/v2/query HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n{"taskId":"1"}'
    )
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 10)
    writer.close()


@pytest.mark.parametrize(
    ("when", "event", "accepted"),
    [("before", "start_dropped", 0), ("after", "start_accepted", 1)],
)
async def test_an_answer_never_comes_before_or_after_accepting(
    emulator: EmulatorHandle, when: str, event: str, accepted: int
) -> None:
    await emulator.admin.add_fault("hang", when=when)
    call = asyncio.create_task(raw_start(emulator, timeout_s=1))
    await emulator.admin.wait_for(event)
    with pytest.raises(TimeoutError):
        await call
    assert len(await emulator.admin.events("start_accepted")) == accepted


async def test_a_slow_answer_comes_all_the_same(emulator: EmulatorHandle) -> None:
    await emulator.admin.add_fault("slow_answer", seconds=30, when="after")
    call = asyncio.create_task(raw_start(emulator))
    (accepted,) = await emulator.admin.wait_for("start_accepted")
    assert not call.done()
    assert (await call)[0] == 200
    assert time.monotonic() - accepted["mono_s"] >= 0.29


async def test_no_money_lasts_until_the_account_is_filled(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("no_money", count=1)
    assert (await client.start())["errorCode"] == "812"
    assert (await client.start())["errorCode"] == "812"
    await emulator.admin.put_account(KEY, coins=10)
    assert (await client.start())["errorCode"] == ""


@pytest.mark.parametrize(
    "match",
    [
        {"key": SECOND_KEY},
        {"app": VESTE_AI},
        {"file": "tree"},
        {"instance": "plus"},
        {"generation": "v1"},
        {"point": "cancel"},
    ],
)
async def test_a_rule_strikes_only_what_it_matches(
    emulator: EmulatorHandle, client: RawClient, match: dict[str, Any]
) -> None:
    await emulator.admin.add_fault("code", code=421, **match)
    name = await client.upload(photo(), "cat.jpg")
    nodes = [{"nodeId": "1", "fieldName": "image", "fieldValue": name}]
    assert (await client.start(nodeInfoList=nodes))["errorCode"] == ""


async def test_a_rule_finds_an_input_by_the_name_it_was_uploaded_under(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("fail", classes=["gpu_oom"], file="huge")
    name = await client.upload(photo(), "a-huge-picture.jpg")
    nodes = [{"nodeId": "1", "fieldName": "image", "fieldValue": name}]
    failed = await client.run(nodeInfoList=nodes)
    assert failed["failedReason"]["node_id"] == "17"
    assert (await client.run())["status"] == "SUCCESS"


async def test_a_rate_with_a_seed_strikes_the_same_share_again(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    rounds = []
    for _ in range(2):
        await emulator.admin.clear_faults()
        await emulator.admin.add_fault("code", code=421, rate=0.3, seed=11)
        rounds.append([(await client.start())["errorCode"] for _ in range(20)])
    assert rounds[0] == rounds[1]
    assert 0 < rounds[0].count("421") < 20


async def test_file_links_can_fail(emulator: EmulatorHandle, client: RawClient) -> None:
    await emulator.admin.add_fault("http", point="file", status=503, count=1)
    url = (await client.run())["results"][0]["url"]
    assert (await client.download(url))[0] == 503
    assert (await client.download(url))[0] == 200
