from __future__ import annotations

import asyncio
import dataclasses
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web
from PIL import Image

from etapa.queue.v1 import job_pb2, queue_pb2
from etapa.tools.v1 import tools_pb2
from etapa_client import Upload, Url
from etapa_client.errors import (
    InvalidInputError,
    ToolNotFoundError,
    TooManyActiveJobsError,
    UnavailableError,
)
from services.queue import check
from services.runtime.errors import QuotaError
from services.tools.catalog import veste_ai
from services.tools.tool import Node, RunPlan
from services.tools.worker_pool import WorkerPool
from tests.support.tool_media import image_bytes, two_halves, write_video
from tests.support.tools_house import House, chunk, header, open_house

PHOTO = image_bytes(two_halves(64, 48))


@pytest.fixture
async def house(tmp_path: Path, workers: WorkerPool) -> AsyncIterator[House]:
    async with open_house(tmp_path, workers) as opened:
        yield opened


def nodes(house: House, number: int = 0) -> dict[str, str]:
    found = {}
    for node in house.queue.submitted[number].ready.nodes:
        kind = str(node.WhichOneof("value"))
        found[f"{node.node_id}.{node.field_name}"] = f"{kind}:{getattr(node, kind)}"
    return found


async def test_catalogue_is_listed_by_name_in_pages(house: House) -> None:
    first = await house.client.tools.list_tools(page_size=2)
    rest = await house.client.tools.list_tools(page_token=first.next_page_token)
    names = [tool.name for tool in [*first.tools, *rest.tools]]
    assert names == ["bg_remover", "pose_changer", "upscaler", "veste_ai", "video_upscaler"]
    assert rest.next_page_token == ""


async def test_tool_is_described_with_schema_media_and_prices(house: House) -> None:
    tool = await house.client.tools.describe_tool("upscaler")
    assert (tool.view, tool.output_kind) == ("upscaler_jobs", "image")
    assert (tool.credits_from, tool.credits_to, tool.variant_credits["logo"]) == (50, 60, 50)
    assert json.loads(tool.input_schema_json)["properties"]["resolution"]["maximum"] == 8192
    (image,) = tool.media
    assert (image.name, image.kind, image.max_bytes) == ("image", "image", 15 << 20)
    assert "image/heic" in image.content_types
    assert (image.max_side_px, image.help_pt) == (1024, "")
    (video,) = (await house.client.tools.describe_tool("video_upscaler")).media
    assert (video.max_side_px, video.max_duration_s) == (1280, 10.0)
    assert (video.help_pt, video.help_en) == ("MP4, WebM, MOV ou M4V.", "MP4, WebM, MOV or M4V.")


async def test_unknown_tool_is_refused_by_name(house: House) -> None:
    with pytest.raises(ToolNotFoundError, match="the tools are: bg_remover"):
        await house.client.tools.describe_tool("nope")
    with pytest.raises(ToolNotFoundError):
        await house.client.tools.run("nope", {}, {"image": PHOTO}, "ana")
    assert house.queue.created == []


async def test_run_becomes_a_created_and_submitted_job(house: House) -> None:
    job = await house.client.tools.run(
        "upscaler",
        {"category": "pessoas_perto", "denoise": 0.6, "resolution": 4096},
        {"image": Upload(PHOTO, "C:\\fotos\\ana.jpg")},
        "ana",
        "r-1",
    )
    assert job.status == job_pb2.JOB_STATUS_QUEUED
    (created,) = house.queue.created
    assert (created.tool, created.variant, created.user_id) == ("upscaler", "people_face", "ana")
    assert dict(created.file_names) == {"image": "ana.jpg"}
    assert json.loads(created.input_json)["resolution"] == 4096
    (submitted,) = house.queue.submitted
    assert submitted.ready.webapp_id == "2037184937371115522"
    assert submitted.ready.instance_type == "default"
    assert nodes(house) == {
        "1.image": "media_file:image",
        "102.value": "text:0.6",
        "547.value": "text:2048",
    }
    (media,) = submitted.ready.media
    kept = await house.blobs.get(media.sha256)
    assert (media.bytes, media.content_type) == (len(kept), "image/jpeg")
    assert Image.open(io.BytesIO(kept)).size == (media.width, media.height) == (64, 48)


def words(inputs: Any) -> RunPlan:
    return dataclasses.replace(veste_ai.plan(inputs), nodes=(Node("1", "text", "a cat"),))


WORDS = dataclasses.replace(veste_ai.TOOL, name="words", media=(), plan=words)


async def test_a_run_without_media_is_created_complete(tmp_path: Path, workers: WorkerPool) -> None:
    async with open_house(tmp_path, workers, more=[WORDS]) as house:
        job = await house.client.tools.run("words", {}, {}, "ana", "r-1")
    assert job.status == job_pb2.JOB_STATUS_QUEUED
    (created,) = house.queue.created
    assert [node.text for node in created.ready.nodes] == ["a cat"]
    assert house.queue.submitted == []


async def test_a_run_without_media_waits_for_nobodys_upload(
    tmp_path: Path, workers: WorkerPool
) -> None:
    opened = open_house(tmp_path, workers, seats=1, line=0, more=[WORDS])
    async with opened as house, house.stub() as stub:
        upload = stub.RunTool(timeout=60)
        await upload.write(header())
        await house.queue.wait(house.queue.created, 1)
        jobs = await asyncio.gather(
            *(house.client.tools.run("words", {}, {}, "ana", f"w{n}") for n in range(30))
        )
        await upload.write(chunk(PHOTO, last=True))
        assert (await upload).job.status == job_pb2.JOB_STATUS_QUEUED
    assert {job.status for job in jobs} == {job_pb2.JOB_STATUS_QUEUED}
    assert sum(house.queue.batches) == 31
    assert len(house.queue.batches) < 31


async def test_typed_services_run_their_tools(house: House, tmp_path: Path) -> None:
    tools = house.client.tools
    video = write_video(tmp_path / "a.mp4")
    await tools.run_upscaler(
        PHOTO, "a", category=tools_pb2.UPSCALER_CATEGORY_COMIDA, detail=0.9, resolution=1024
    )
    await tools.run_pose_changer(PHOTO, PHOTO, "b")
    await tools.run_veste_ai(PHOTO, PHOTO, "c")
    await tools.run_video_upscaler(video, "d")
    assert [created.tool for created in house.queue.created] == [
        "upscaler",
        "pose_changer",
        "veste_ai",
        "video_upscaler",
    ]
    assert nodes(house, 0) == {"50.image": "media_file:image", "48.value": "text:0.9"}
    assert nodes(house, 1) == {"27.image": "media_file:person", "60.image": "media_file:reference"}
    assert nodes(house, 2) == {"41.image": "media_file:person", "43.image": "media_file:clothing"}
    assert nodes(house, 3) == {"3.video": "media_url:video"}
    assert house.queue.submitted[3].ready.media[0].duration_s == pytest.approx(1.0, abs=0.11)


async def test_upscaler_without_a_category_takes_the_app_without_face(house: House) -> None:
    await house.client.tools.run_upscaler(PHOTO, "ana", denoise=0.5)
    assert house.queue.submitted[0].ready.webapp_id == "2037188547966406658"


async def test_category_of_a_newer_client_is_refused(house: House) -> None:
    unknown: Any = 99
    with pytest.raises(InvalidInputError, match="category must be one of"):
        await house.client.tools.run_upscaler(PHOTO, "ana", category=unknown)


@pytest.mark.parametrize(
    ("inputs", "media", "reason", "field"),
    [
        ({"categry": "logo"}, {"image": PHOTO}, "UNKNOWN_PARAMETER", "categry"),
        ({"resolution": 9000}, {"image": PHOTO}, "OUT_OF_RANGE", "resolution"),
        ("{", {"image": PHOTO}, "INPUT_NOT_JSON", "input_json"),
        ({}, {}, "MEDIA_MISSING", "image"),
        ({}, {"image": PHOTO, "mask": PHOTO}, "UNKNOWN_MEDIA", "mask"),
    ],
)
async def test_bad_request_leaves_no_job(
    house: House, inputs: Any, media: dict[str, bytes], reason: str, field: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await house.client.tools.run("upscaler", inputs, media, "ana")
    assert (caught.value.reason, caught.value.field) == (reason, field)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert house.queue.created == []


async def test_missing_user_leaves_no_job(house: House) -> None:
    with pytest.raises(InvalidInputError, match="user_id"):
        await house.client.tools.run("bg_remover", {}, {"image": PHOTO}, "")
    assert house.queue.created == []


@pytest.mark.parametrize(
    ("data", "reason", "failure_class"),
    [
        (b"", "MEDIA_EMPTY", "bad_media"),
        (b"%PDF-1.7", "MEDIA_WRONG_KIND", "bad_media"),
        (PHOTO[:200], "MEDIA_TRUNCATED", "bad_media"),
        (b"\xff\xd8\xff" + bytes(15 << 20), "MEDIA_TOO_LARGE", "file_too_big"),
    ],
)
async def test_bad_media_fails_the_job_at_upload(
    house: House, data: bytes, reason: str, failure_class: str
) -> None:
    job = await house.client.tools.run("bg_remover", {}, {"image": Upload(data, "foto.jpg")}, "ana")
    assert job.status == job_pb2.JOB_STATUS_FAILED
    rejected = house.queue.submitted[0].rejected
    assert (rejected.error_class, rejected.details["reason"]) == (failure_class, reason)
    assert rejected.message == job.error_message != ""
    assert rejected.details["message_pt"]
    assert rejected.details["fileName"] == "foto.jpg"
    assert list(house.uploads.iterdir()) == []


async def test_repeat_of_a_failed_request_returns_its_job(house: House) -> None:
    first = await house.client.tools.run("bg_remover", {}, {"image": b"x"}, "ana", "r-1")
    again = await house.client.tools.run("bg_remover", {}, {"image": b"x"}, "ana", "r-1")
    assert again == first


async def test_truncated_stream_fails_the_job_at_upload(house: House) -> None:
    async with house.stub() as stub:
        answer = await stub.RunTool(iter([header(), chunk(PHOTO[:100])]), timeout=20)
    assert answer.job.status == job_pb2.JOB_STATUS_FAILED
    assert house.queue.submitted[0].rejected.error_class == "upload_truncated"
    assert list(house.uploads.iterdir()) == []


async def test_caller_who_leaves_has_the_job_failed_at_upload(house: House) -> None:
    async with house.stub() as stub:
        call = stub.RunTool(timeout=30)
        await call.write(header())
        await call.write(chunk(PHOTO[:100]))
        await house.queue.wait(house.queue.created, 1)
        call.cancel()
    await house.queue.wait(house.queue.submitted, 1)
    assert house.queue.submitted[0].rejected.error_class == "upload_truncated"


async def test_caller_who_comes_back_finds_the_job_open(
    tmp_path: Path, workers: WorkerPool
) -> None:
    async with open_house(tmp_path, workers, grace_s=60) as house, house.stub() as stub:
        call = stub.RunTool(timeout=30)
        await call.write(header())
        await house.queue.wait(house.queue.created, 1)
        call.cancel()
        answer = await stub.RunTool(iter([header(), chunk(PHOTO, last=True)]), timeout=20)
        assert answer.job.status == job_pb2.JOB_STATUS_QUEUED
        assert len(house.queue.submitted) == 1


async def test_first_message_must_be_the_header(house: House) -> None:
    async with house.stub() as stub:
        for parts in ([chunk(PHOTO, last=True)], []):
            with pytest.raises(grpc.aio.AioRpcError, match="first message must be the header"):
                await stub.RunTool(iter(parts), timeout=20)
    assert house.queue.created == []


@pytest.mark.parametrize("part", [header(), chunk(b"x", media="mask"), chunk(bytes((1 << 20) + 1))])
async def test_piece_out_of_order_fails_the_job(
    house: House, part: tools_pb2.RunToolRequest
) -> None:
    async with house.stub() as stub:
        answer = await stub.RunTool(iter([header(), part]), timeout=20)
    assert answer.job.error_class == "bad_media"
    assert house.queue.submitted[0].rejected.details["reason"] == "UPLOAD_OUT_OF_ORDER"


async def test_piece_that_is_no_message_fails_the_job(house: House) -> None:
    parts = iter([header().SerializeToString(), b"\xff\xff\xff"])
    async with grpc.aio.insecure_channel(house.address) as channel:
        run: Any = channel.stream_unary("/etapa.tools.v1.ToolsService/RunTool")
        answer = tools_pb2.RunToolResponse.FromString(await run(parts, timeout=20))
    assert answer.job.error_class == "bad_media"
    assert house.queue.submitted[0].rejected.details["reason"] == "UPLOAD_OUT_OF_ORDER"


async def test_stalled_upload_fails_within_the_tools_limit(
    tmp_path: Path, workers: WorkerPool
) -> None:
    async with open_house(tmp_path, workers, upload_s=1) as house, house.stub() as stub:
        call = stub.RunTool(timeout=30)
        await call.write(header())
        answer = await call
        assert answer.job.error_class == "upload_timeout"


@pytest.mark.parametrize(
    "source", [tools_pb2.MediaSource(name="image"), tools_pb2.MediaSource(name="image", url="")]
)
async def test_media_from_nowhere_leaves_no_job(
    house: House, source: tools_pb2.MediaSource
) -> None:
    run = tools_pb2.RunHeader(user_id="ana", media=[source])
    head = tools_pb2.RunToolHeader(run=run, tool="bg_remover")
    async with house.stub() as stub:
        with pytest.raises(grpc.aio.AioRpcError, match="give upload_file_name or url"):
            await stub.RunTool(iter([tools_pb2.RunToolRequest(header=head)]), timeout=20)
    assert house.queue.created == []


async def test_queues_refusal_reaches_the_caller(house: House) -> None:
    class TooManyActive(QuotaError):  # noqa: N818
        reason = "TOO_MANY_ACTIVE_JOBS"

    house.queue.refusal = TooManyActive("one job is active", {"active_job_ids": "j-1"})
    with pytest.raises(TooManyActiveJobsError) as caught:
        await house.client.tools.run("bg_remover", {}, {"image": PHOTO}, "ana")
    assert caught.value.active_job_ids == ("j-1",)
    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_media_comes_by_url(house: House) -> None:
    async def photo(request: web.Request) -> web.Response:
        return web.Response(body=PHOTO, content_type="text/plain")

    app = web.Application()
    app.router.add_get("/fotos/ana.jpg", photo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    url = f"http://127.0.0.1:{port}/fotos/ana.jpg?size=2"
    job = await house.client.tools.run(
        "pose_changer", {}, {"person": Url(url), "reference": PHOTO}, "ana"
    )
    await runner.cleanup()
    assert job.status == job_pb2.JOB_STATUS_QUEUED
    media = {kept.name: kept for kept in house.queue.submitted[0].ready.media}
    assert media["person"].file_name == "ana.jpg"
    assert media["person"].sha256 == media["reference"].sha256


async def test_private_url_fails_the_job_at_upload(house: House) -> None:
    job = await house.client.tools.run(
        "bg_remover", {}, {"image": Url("http://10.0.0.1/foto.jpg")}, "ana"
    )
    assert job.error_class == "media_unreachable"
    assert house.queue.submitted[0].rejected.details["reason"] == "URL_REFUSED"


@pytest.mark.parametrize(
    "url",
    [
        "http://a\x00b/",
        f"http://{'a' * 3000}.test/",
        "http://x..y/",
        f"http://127.0.0.1:1/{'a' * 9000}",
    ],
)
async def test_hostile_url_fails_the_job_in_words_that_the_queue_takes(
    house: House, url: str
) -> None:
    job = await house.client.tools.run("bg_remover", {}, {"image": Url(url)}, "ana")
    assert job.error_class == "media_unreachable"
    assert_fits(house.queue.submitted[0].rejected)


async def test_hostile_media_name_fails_the_job_in_words_that_the_queue_takes(
    house: House,
) -> None:
    async with house.stub() as stub:
        parts = [header(), chunk(b"x", media="a\x00b" + "c" * 100_000)]
        answer = await stub.RunTool(iter(parts), timeout=20)
    assert answer.job.error_class == "bad_media"
    assert_fits(house.queue.submitted[0].rejected)


def assert_fits(rejected: queue_pb2.MediaRejection) -> None:
    """Assert that the real queue would take the rejection."""
    check.text("message", rejected.message, 4000, least=1)
    for name, value in rejected.details.items():
        check.text(name, value, 1000)


async def test_many_uploads_at_once_all_arrive(house: House) -> None:
    jobs = await asyncio.gather(
        *(
            house.client.tools.run("veste_ai", {}, {"person": PHOTO, "clothing": PHOTO}, f"u{n}")
            for n in range(20)
        )
    )
    assert {job.status for job in jobs} == {job_pb2.JOB_STATUS_QUEUED}
    assert list(house.uploads.iterdir()) == []


async def test_absent_queue_is_told_as_unavailable(tmp_path: Path, workers: WorkerPool) -> None:
    async with open_house(tmp_path, workers) as house:
        house.intake._queue._connection.address = "127.0.0.1:1"
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1"):
            await house.client.tools.run("bg_remover", {}, {"image": PHOTO}, "ana")
