from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from services.tools.catalog.bg_remover import TOOL
from services.tools.domain import BadMediaError
from services.tools.fetch import Fetcher
from services.tools.spool import Spool

RULE = TOOL.media[0]
LOOPBACK = (ipaddress.ip_network("127.0.0.1/32"),)


@pytest.fixture
async def site() -> AsyncIterator[str]:
    ended = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name == "large":
            return await _endless(request)
        if name == "slow":
            await ended.wait()
        if name == "missing":
            raise web.HTTPNotFound
        if name == "loop":
            raise web.HTTPFound("/loop")
        if name == "inward":
            raise web.HTTPFound(f"http://127.0.0.2:{request.url.port}/file")
        if name == "file-scheme":
            raise web.HTTPFound("file:///etc/hostname")
        return web.Response(body=b"" if name == "empty" else b"content")

    app = web.Application()
    app.router.add_get("/{name}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 0).start()  # noqa: S104 - 127.0.0.2 must reach it too
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    ended.set()
    await runner.cleanup()


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(20):
        await response.write(bytes(1 << 20))
    return response


async def fetch(url: str, folder: Path, total_s: float = 20.0) -> bytes:
    async with Fetcher(LOOPBACK, total_s) as fetcher:
        spooled = await fetcher.fetch(url, RULE, Spool(folder / "in", RULE))
        return spooled.path.read_bytes()


async def test_allowed_address_is_fetched(site: str, tmp_path: Path) -> None:
    assert await fetch(f"{site}/file", tmp_path) == b"content"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("large", "MEDIA_TOO_LARGE"),
        ("slow", "URL_TIMEOUT"),
        ("missing", "URL_FAILED"),
        ("loop", "URL_FAILED"),
        ("inward", "URL_REFUSED"),
        ("file-scheme", "URL_REFUSED"),
        ("empty", "MEDIA_EMPTY"),
    ],
)
async def test_bad_answer_is_told_by_its_reason(
    site: str, tmp_path: Path, path: str, reason: str
) -> None:
    with pytest.raises(BadMediaError) as caught:
        await fetch(f"{site}/{path}", tmp_path, total_s=0.5 if path == "slow" else 20.0)
    assert caught.value.reason == reason
    assert caught.value.field == "image"
    assert caught.value.facts["message_pt"]


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/a.jpg",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]:80/a.jpg",
        "http://[::ffff:10.0.0.1]/a.jpg",
        "http://2130706434/a.jpg",
        "ftp://example.com/a.jpg",
        "file:///etc/hostname",
        "http://user:secret@example.com/a.jpg",
        "not a url",
        "",
    ],
)
async def test_address_that_is_not_public_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadMediaError) as caught:
        await fetch(url, tmp_path)
    assert caught.value.reason == "URL_REFUSED"
    assert "secret" not in caught.value.message


async def test_name_that_resolves_to_a_private_address_is_refused(
    site: str, tmp_path: Path
) -> None:
    url = site.replace("127.0.0.1", "localhost") + "/file"
    async with Fetcher((), 20.0) as fetcher:
        with pytest.raises(BadMediaError) as caught:
            await fetcher.fetch(url, RULE, Spool(tmp_path / "in", RULE))
    assert (caught.value.reason, caught.value.facts["why"]) == ("URL_REFUSED", "PRIVATE_ADDRESS")


async def test_closed_port_is_told_as_failed(tmp_path: Path) -> None:
    with pytest.raises(BadMediaError) as caught:
        await fetch("http://127.0.0.1:1/a.jpg", tmp_path)
    assert caught.value.reason == "URL_FAILED"
