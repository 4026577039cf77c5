"""Runs do real work on real inputs, end as told, and cost what they should."""

from __future__ import annotations

import asyncio
import io
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from aiohttp import web
from PIL import Image

from services.emulator.reasons import REASONS
from services.emulator.video import sample_video
from tests.support.emulator import KEY, SECOND_KEY, EmulatorHandle, running_emulator
from tests.support.runninghub_http import (
    BG_REMOVER,
    POSE_CHANGER,
    UPSCALER,
    VESTE_AI,
    VIDEO_UPSCALER,
    RawClient,
    node,
    photo,
)
from tests.support.waiting import eventually


async def result_image(client: RawClient, reply: dict[str, Any]) -> Image.Image:
    assert reply["status"] == "SUCCESS", reply
    status, data = await client.download(reply["results"][0]["url"])
    assert status == 200
    return Image.open(io.BytesIO(data))


UPSCALERS: list[tuple[str, str, list[dict[str, Any]]]] = [
    ("2037188547966406658", "1", [node("548", "value", "2048")]),
    ("2037184937371115522", "1", [node("102", "value", "0.35"), node("547", "value", "2048")]),
    ("2018913880214343681", "139", []),
    ("2015855359243587585", "50", [node("48", "value", "0.85")]),
    ("2019239272464785409", "39", [node("33", "value", "0.40")]),
    ("2019234965992509442", "301", [node("300", "value", "0.80")]),
    ("2017030861371219969", "26", [node("25", "value", "0.1"), node("128", "text", "a cat")]),
]


@pytest.mark.parametrize(("app", "image_node", "more"), UPSCALERS)
async def test_every_upscaler_makes_a_larger_image(
    client: RawClient, app: str, image_node: str, more: list[dict[str, Any]]
) -> None:
    name = await client.upload(photo(60, 40))
    reply = await client.run(app, nodeInfoList=[node(image_node, "image", name), *more])
    assert (await result_image(client, reply)).size == (120, 80)


@pytest.mark.parametrize(
    ("app", "first", "second"), [(POSE_CHANGER, "27", "60"), (VESTE_AI, "41", "43")]
)
async def test_two_image_tools_show_both_inputs(
    client: RawClient, app: str, first: str, second: str
) -> None:
    person, other = await client.upload(photo(90, 60)), await client.upload(photo(seed=3))
    nodes = [node(first, "image", person), node(second, "image", other)]
    composed = await result_image(client, await client.run(app, nodeInfoList=nodes))
    alone = [node(first, "image", person), node(second, "image", person)]
    same = await result_image(client, await client.run(app, nodeInfoList=alone))
    assert composed.size == (90, 60)
    assert composed.tobytes() != same.tobytes()


async def test_background_remover_makes_transparent_pixels(client: RawClient) -> None:
    name = await client.upload(photo())
    reply = await client.run(BG_REMOVER, nodeInfoList=[node("1", "image", name)])
    image = await result_image(client, reply)
    assert image.mode == "RGBA"
    low, high = image.getchannel("A").getextrema()
    assert (low, high) == (0, 255)


async def test_a_video_given_as_url_comes_back_twice_as_large(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    async def serve(_request: web.Request) -> web.Response:
        return web.Response(body=sample_video(), content_type="video/mp4")

    app = web.Application()
    app.router.add_get("/media/clip.mp4", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/media/clip.mp4"
    reply = await client.run(VIDEO_UPSCALER, nodeInfoList=[node("3", "video", url)])
    await runner.cleanup()

    assert reply["results"][0]["outputType"] == "mp4"
    _, data = await client.download(reply["results"][0]["url"])
    with av.open(io.BytesIO(data), "r") as video:
        stream = video.streams.video[0]
        assert (stream.width, stream.height, stream.codec_context.name) == (128, 96, "h264")
        assert sum(1 for _ in video.decode(stream)) == 8
        assert stream.average_rate == Fraction(8)
    assert len(await emulator.admin.events("input_fetched")) == 1


async def test_an_uploaded_video_works_as_well(client: RawClient) -> None:
    name = await client.upload(sample_video(), "clip.mp4")
    reply = await client.run(VIDEO_UPSCALER, nodeInfoList=[node("3", "video", name)])
    assert reply["status"] == "SUCCESS"


async def test_an_unreachable_video_url_fails_the_run(client: RawClient) -> None:
    nodes = [node("3", "video", "http://127.0.0.1:1/none.mp4")]
    reply = await client.run(VIDEO_UPSCALER, nodeInfoList=nodes)
    assert reply["status"] == "FAILED"
    assert reply["failedReason"]["node_name"] == "VHS_LoadVideoPath"


@pytest.mark.parametrize(
    ("app", "node_id", "field", "name", "words"),
    [
        (UPSCALER, "1", "image", "x.webp", "cannot identify image file"),
        (VIDEO_UPSCALER, "3", "video", "x.mp4", "could not be loaded with cv."),
    ],
)
async def test_an_unreadable_file_fails_in_its_loader(
    client: RawClient, app: str, node_id: str, field: str, name: str, words: str
) -> None:
    stored = await client.upload(b"this is no picture at all", name)
    reply = await client.run(app, nodeInfoList=[node(node_id, field, stored)])
    assert (reply["status"], reply["errorCode"]) == ("FAILED", "805")
    assert words in reply["failedReason"]["exception_message"]
    assert stored in reply["failedReason"]["exception_message"]


async def test_an_upload_of_another_account_is_not_found(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    other = RawClient(emulator.base_url, SECOND_KEY, emulator.http)
    name = await other.upload(photo())
    reply = await client.run(nodeInfoList=[node("1", "image", name)])
    assert reply["failedReason"]["exception_type"] == "FileNotFoundError"


@pytest.mark.parametrize("name", sorted(REASONS))
async def test_every_failure_comes_with_its_words_and_costs_nothing(
    emulator: EmulatorHandle, client: RawClient, name: str
) -> None:
    await emulator.admin.add_fault("fail", classes=[name])
    reply = await client.run()
    reason = REASONS[name]
    assert (reply["status"], reply["errorCode"]) == ("FAILED", str(reason.code))
    assert reply["failedReason"].get("exception_message", "") == reason.exception_message
    assert reply["usage"]["consumeCoins"] is None
    (ended,) = await emulator.admin.events("run_ended", task_id=reply["taskId"])
    assert (ended["status"], ended["error_class"]) == ("FAILED", reason.error_class)
    assert await emulator.admin.events("paid") == []


async def test_out_of_memory_speaks_as_cuda_does(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("fail", classes=["gpu_oom"])
    reason = (await client.run())["failedReason"]
    assert reason["exception_type"] == "torch.OutOfMemoryError"
    assert reason["exception_message"].startswith(
        "Allocation on device 0 would exceed allowed memory. (out of memory)"
    )
    assert (reason["node_id"], reason["node_name"]) == ("17", "KSampler")
    assert "common_ksampler" in reason["traceback"]
    assert "9007199254740993" in reason["current_inputs"]


async def test_a_run_can_fail_on_the_small_machine_only(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("fail", classes=["gpu_oom"], instance="default")
    assert (await client.run())["status"] == "FAILED"
    assert (await client.run(instanceType="plus"))["status"] == "SUCCESS"


async def test_a_run_can_fail_by_a_bare_code(emulator: EmulatorHandle, client: RawClient) -> None:
    await emulator.admin.add_fault("fail", code=1015)
    reply = await client.run()
    assert (reply["status"], reply["errorCode"], reply["failedReason"]) == ("FAILED", "1015", {})


async def test_success_without_outputs_is_still_paid(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("fail", classes=["no_output"])
    reply = await client.run()
    assert (reply["status"], reply["results"]) == ("SUCCESS", [])
    (ended,) = await emulator.admin.events("run_ended")
    assert (ended["error_class"], ended["coins"] > 0) == ("no_output", True)


async def test_mixed_failures_are_drawn_from_the_given_classes(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    classes = ["gpu_oom", "moderation", "infra", "no_output"]
    await emulator.admin.add_fault("fail", classes=classes, seed=4)
    await asyncio.gather(*(client.run() for _ in range(20)))
    ended = await emulator.admin.events("run_ended")
    assert {entry["error_class"] for entry in ended} == set(classes)


@pytest.mark.parametrize("status", [404, 410])
async def test_output_links_can_be_gone(
    emulator: EmulatorHandle, client: RawClient, status: int
) -> None:
    await emulator.admin.add_fault("outputs_expired", status=status)
    reply = await client.run()
    assert (await client.download(reply["results"][0]["url"]))[0] == status


async def test_output_links_end_with_their_time_and_need_their_signature(tmp_path: Path) -> None:
    async with running_emulator(tmp_path, output_life_s=100.0) as emulator:
        client = RawClient(emulator.base_url, KEY, emulator.http)
        url = (await client.run())["results"][0]["url"]
        assert (await client.download(url))[0] == 200
        assert (await client.download(url.partition("?")[0]))[0] == 403

        async def is_over() -> bool:
            return (await client.download(url))[0] != 200

        await eventually(is_over)
        assert (await client.download(url))[0] == 410


async def test_the_provider_can_cancel_by_itself(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    await emulator.admin.add_fault("cancelled")
    reply = await client.run()
    assert (reply["status"], reply["errorCode"], reply["results"]) == ("", "", None)


async def test_the_contracts_word_for_cancelled_is_a_setting(tmp_path: Path) -> None:
    async with running_emulator(tmp_path, cancelled_status="CANCEL") as emulator:
        client = RawClient(emulator.base_url, KEY, emulator.http)
        await emulator.admin.add_fault("cancelled")
        reply = await client.run()
        status = await client.v1("/task/openapi/status", taskId=reply["taskId"])
    assert (reply["status"], status["data"]) == ("CANCEL", "CANCEL")


async def test_a_success_is_paid_once_and_shown_as_usage(
    emulator: EmulatorHandle, client: RawClient
) -> None:
    reply = await client.run()
    account = await client.v1("/uc/openapi/accountStatus")
    (paid,) = await emulator.admin.events("paid", task_id=reply["taskId"])
    assert reply["usage"]["consumeCoins"] == str(paid["coins"])
    assert int(account["data"]["remainCoins"]) == 100_000 - paid["coins"]


async def test_equal_inputs_give_each_task_its_own_bytes(client: RawClient) -> None:
    replies = await asyncio.gather(*(client.run() for _ in range(3)))
    files = [(await client.download(item["results"][0]["url"]))[1] for item in replies]
    pictures = {Image.open(io.BytesIO(data)).tobytes() for data in files}
    assert (len(set(files)), len(pictures)) == (3, 1)


async def test_a_finished_task_is_forgotten_after_its_time(tmp_path: Path) -> None:
    async with running_emulator(tmp_path, task_life_s=1.0) as emulator:
        client = RawClient(emulator.base_url, KEY, emulator.http)
        task_id = (await client.start())["taskId"]
        await emulator.admin.wait_for("run_ended", task_id=task_id)
        reply = await client.finished(task_id)
        async with asyncio.timeout(10):
            while reply["errorCode"] != "1004":
                reply = await client.v2("query", taskId=task_id)
    assert reply["status"] == ""


async def test_a_defect_of_the_emulator_ends_the_run_instead_of_holding_its_slot(
    tmp_path: Path,
) -> None:
    async with running_emulator(tmp_path) as emulator:
        client = RawClient(emulator.base_url, KEY, emulator.http)
        shutil.rmtree(tmp_path / "renders")
        reply = await client.run()
        account = await client.v1("/uc/openapi/accountStatus")
    assert reply["failedReason"]["exception_type"] == "builtins.FileNotFoundError"
    assert account["data"]["currentTaskCounts"] == "0"


async def test_two_hundred_runs_cost_little(tmp_path: Path) -> None:
    async with running_emulator(tmp_path) as emulator:
        await emulator.admin.put_account(KEY, concurrency=500)
        client = RawClient(emulator.base_url, KEY, emulator.http)
        name = await client.upload(photo())
        nodes = [node("1", "image", name)]
        async with asyncio.timeout(20):
            await asyncio.gather(*(client.start(nodeInfoList=nodes) for _ in range(200)))
            ended = await emulator.admin.wait_for("run_ended", times=200)
    assert len({entry["outputs"][0]["sha256"] for entry in ended}) == 200
