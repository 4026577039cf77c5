from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from etapa.queue.v1 import job_pb2
from etapa_client import Upload, Url
from etapa_client.errors import RequestIdReusedError
from services.tools.worker_pool import WorkerPool
from tests.support.tool_media import image_bytes, two_halves
from tests.support.tools_house import House, chunk, header, open_house

PHOTO = image_bytes(two_halves(64, 48))
TOO_LARGE = b"\xff\xd8\xff" + bytes(15 << 20)
BAD = [b"", b"%PDF-1.7", PHOTO[:200], TOO_LARGE]


@pytest.fixture
async def house(tmp_path: Path, workers: WorkerPool) -> AsyncIterator[House]:
    async with open_house(tmp_path, workers) as opened:
        yield opened


async def run(house: House, media: Any, **more: Any) -> job_pb2.Job:
    upload = media if isinstance(media, Url) else Upload(media, "foto.jpg")
    return await house.client.tools.run("bg_remover", {}, {"image": upload}, "ana", "r-1", **more)


@pytest.mark.parametrize("bad", BAD)
async def test_bad_media_after_good_is_another_request(house: House, bad: bytes) -> None:
    first = await run(house, PHOTO)
    with pytest.raises(RequestIdReusedError) as caught:
        await run(house, bad)
    assert (caught.value.request_id, caught.value.facts["differs"]) == ("r-1", "media")
    assert (await run(house, PHOTO)).job_id == first.job_id
    assert first.status == job_pb2.JOB_STATUS_QUEUED


@pytest.mark.parametrize("bad", BAD)
async def test_good_media_after_bad_is_another_request(house: House, bad: bytes) -> None:
    first = await run(house, bad)
    with pytest.raises(RequestIdReusedError):
        await run(house, PHOTO)
    assert await run(house, bad) == first


async def test_media_that_is_bad_in_another_way_is_another_request(house: House) -> None:
    await run(house, b"")
    with pytest.raises(RequestIdReusedError):
        await run(house, b"%PDF-1.7")


@pytest.mark.parametrize("bad", BAD)
async def test_repeat_of_bad_media_finds_its_own_job(house: House, bad: bytes) -> None:
    first = await run(house, bad)
    assert await run(house, bad) == first
    assert len(house.queue.submitted) == 1


async def test_repeat_that_holds_its_media_back_is_told_of_its_job(house: House) -> None:
    first = await run(house, TOO_LARGE)
    async with house.stub() as stub:
        call = stub.RunTool(timeout=30)
        await call.write(header())
        assert (await call).job == first


async def test_repeat_that_is_cut_off_may_be_the_same_and_finds_its_job(house: House) -> None:
    first = await run(house, PHOTO)
    async with house.stub() as stub:
        answer = await stub.RunTool(iter([header(), chunk(PHOTO[:100])]), timeout=20)
    assert answer.job == first


async def test_good_media_after_a_cut_upload_cannot_be_known_to_differ(house: House) -> None:
    async with house.stub() as stub:
        first = await stub.RunTool(iter([header(), chunk(PHOTO[:100])]), timeout=20)
    assert first.job.error_class == "upload_truncated"
    assert await run(house, PHOTO) == first.job


async def test_repeat_of_a_url_whose_file_is_gone_finds_its_job(house: House) -> None:
    answers = [PHOTO, None, b"%PDF-1.7"]

    async def give(_request: web.Request) -> web.Response:
        body = answers.pop(0)
        return web.Response(status=404) if body is None else web.Response(body=body)

    app = web.Application()
    app.router.add_get("/foto.jpg", give)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = Url(f"http://127.0.0.1:{runner.addresses[0][1]}/foto.jpg")
        first = await run(house, url)
        assert first.status == job_pb2.JOB_STATUS_QUEUED
        assert [await run(house, url), await run(house, url)] == [first, first]
        assert answers == []
    finally:
        await runner.cleanup()
