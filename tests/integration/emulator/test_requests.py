"""Requests are checked as the provider checks them, in both generations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.emulator.catalog import WEBAPPS
from tests.support.emulator import KEY, EmulatorHandle, running_emulator
from tests.support.runninghub_http import UPSCALER, UPSCALER_FACE, RawClient, node, photo

RUN = "/task/openapi/ai-app/run"
CREATE = "/task/openapi/create"
WORKFLOW = "1900000000000000001"
UNSAVED = "1900000000000000002"


@pytest.mark.parametrize(
    ("nodes", "code", "words"),
    [
        ([node("77", "image", "x")], "803", "node_not_found_in_workflow"),
        ([node("1", "picture", "x")], "803", "field_not_found_in_node_inputs"),
        ([{"nodeId": "1", "fieldName": "image", "value": "x"}], "803", "NODE_INFO_MISMATCH"),
        ([node("102", "value", "undefined")], "433", "Failed to convert an input value"),
        ([node("102", "value", "1.5")], "433", "bigger than max"),
        ([node("547", "value", "12")], "433", "smaller than min"),
        ("not a list", "301", ""),
        (["not an object"], "301", ""),
    ],
)
async def test_a_node_list_that_does_not_fit_is_refused(
    client: RawClient, nodes: Any, code: str, words: str
) -> None:
    v2 = await client.start(UPSCALER_FACE, nodeInfoList=nodes)
    v1 = await client.v1(RUN, webappId=UPSCALER_FACE, nodeInfoList=nodes)
    assert (v2["errorCode"], v1["code"]) == (code, int(code))
    assert words in v2["errorMessage"]


async def test_numbers_and_extra_fields_are_accepted(client: RawClient) -> None:
    entry = {**node(102, "value", 0.35), "fieldType": "FLOAT", "description": "x"}  # type: ignore[arg-type]
    reply = await client.start(UPSCALER_FACE, nodeInfoList=[entry], unheardOf=1)
    assert reply["errorCode"] == ""


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (RUN, {"webappId": "1", "nodeInfoList": []}, 901),
        (RUN, {"webappId": UPSCALER}, 301),
        (RUN, {"webappId": int(UPSCALER), "nodeInfoList": []}, 0),
        (RUN, {"webappId": UPSCALER, "nodeInfoList": [], "instanceType": "PLUS"}, 301),
        (RUN, {"webappId": UPSCALER, "nodeInfoList": [], "instanceType": "ultra"}, 435),
        (RUN, {"webappId": UPSCALER, "nodeInfoList": [], "webhookUrl": "nonsense"}, 301),
        ("/task/openapi/quick-ai-app/run", {"webappId": UPSCALER, "nodeInfoList": []}, 301),
        (
            "/task/openapi/quick-ai-app/run",
            {"webappId": UPSCALER, "nodeInfoList": [], "quickCreateCode": "q"},
            0,
        ),
        (CREATE, {"workflowId": WORKFLOW}, 0),
        (CREATE, {"workflowId": "1"}, 380),
        (CREATE, {"workflowId": UNSAVED}, 810),
        (CREATE, {"workflowId": WORKFLOW, "workflow": "{not json"}, 433),
        (CREATE, {"workflowId": WORKFLOW, "workflow": '{"1": {"class_type": "LoadImage"}}'}, 0),
    ],
)
async def test_v1_starts(client: RawClient, path: str, body: dict[str, Any], code: int) -> None:
    assert (await client.v1(path, **body))["code"] == code


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("run/ai-app/1", {"nodeInfoList": []}, "901"),
        (f"run/ai-app/{UPSCALER}", {}, "1007"),
        (f"run/ai-app/{UPSCALER}", {"nodeInfoList": [], "webhookUrl": "ftp://x/y"}, "1007"),
        (f"run/workflow/{WORKFLOW}", {"addMetadata": False}, ""),
        (f"run/workflow/{UNSAVED}", {}, "810"),
        ("run/workflow/1", {}, "380"),
        ("no/such/path", {}, "1001"),
    ],
)
async def test_v2_starts(client: RawClient, path: str, body: dict[str, Any], code: str) -> None:
    assert (await client.v2(path, **body))["errorCode"] == code


async def test_v2_accepts_a_task_id_above_2_53_as_it_gave_it(client: RawClient) -> None:
    started = await client.start()
    assert int(started["taskId"]) > 2**53
    assert json.loads(started["promptTips"])["result"] is True
    assert len(started["clientId"]) == 32


async def test_cancel_refuses_a_list_of_ids(client: RawClient) -> None:
    assert (await client.v1("/task/openapi/cancel", taskIds=["1"]))["code"] == 301
    assert (await client.v1("/task/openapi/cancel", taskId="1"))["code"] == 807


async def test_misspelt_v1_paths_are_412_with_http_200(client: RawClient) -> None:
    assert (await client.v1("/task/openapi/stauts"))["msg"] == "TOKEN_INVALID"


@pytest.mark.parametrize("raw", [b"{", b"[1]", b"\xff"])
async def test_a_body_that_is_no_object_is_refused(emulator: EmulatorHandle, raw: bytes) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    url = f"{emulator.base_url}/openapi/v2/run/ai-app/{UPSCALER}"
    async with emulator.http.post(url, data=raw, headers=headers) as reply:
        assert (await reply.json())["errorCode"] == "1007"


async def test_uploads_are_named_by_their_hash(client: RawClient) -> None:
    v1 = (await client.upload_v1(photo(), "Cat.JPG"))["data"]["fileName"]
    v2 = (await client.upload_v2(photo(), "Cat.JPG"))["data"]["fileName"]
    bare = (await client.upload_v1(b"PK\x03\x04", "a.zip"))["data"]["fileName"]
    assert v1.startswith("api/")
    assert v1.endswith(".jpg")
    assert v2 == v1.replace("api/", "openapi/")
    assert (len(bare), "/" in bare, "." in bare) == (64, False, False)


async def test_an_uploads_download_url_gives_it_back(client: RawClient) -> None:
    data = photo()
    reply = (await client.upload_v2(data))["data"]
    assert reply["size"] == str(len(data))
    assert await client.download(reply["download_url"]) == (200, data)
    assert (await client.download(reply["download_url"].partition("?")[0]))[0] == 403


async def test_uploads_above_the_limit_are_refused(tmp_path: Path) -> None:
    async with running_emulator(tmp_path, upload_limit_bytes=1000) as emulator:
        client = RawClient(emulator.base_url, KEY, emulator.http)
        assert (await client.upload_v1(b"x" * 1000))["code"] == 0
        assert (await client.upload_v1(b"x" * 1001))["code"] == 809
        assert (await client.upload_v2(b"x" * 400_000))["code"] == 1008


async def test_an_upload_without_a_file_is_refused(client: RawClient) -> None:
    assert (await client.v1("/task/openapi/upload"))["code"] == 301


async def test_every_app_describes_its_nodes(emulator: EmulatorHandle, client: RawClient) -> None:
    for app in WEBAPPS.values():
        url = f"{emulator.base_url}/api/webapp/apiCallDemo?apiKey={KEY}&webappId={app.app_id}"
        async with emulator.http.get(url) as reply:
            data = (await reply.json())["data"]
        shown = {(item["nodeId"], item["fieldName"]) for item in data["nodeInfoList"]}
        assert shown == {(item.node_id, item.name) for item in app.fields}
        defaults = [
            node(item["nodeId"], item["fieldName"], item["fieldValue"])
            for item in data["nodeInfoList"]
        ]
        assert (await client.start(app.app_id, nodeInfoList=defaults))["errorCode"] == ""


async def test_the_provider_port_has_no_lookup_of_the_judge(
    emulator: EmulatorHandle,
) -> None:
    for path in ("/admin/log", "/admin/tasks", "/admin/faults"):
        async with emulator.http.get(emulator.base_url + path) as reply:
            assert (await reply.json())["code"] == 412
