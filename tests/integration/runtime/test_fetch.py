"""Fetching files from outside: addresses, redirects, sizes and times over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from services.runtime.fetch import Fetched, FetchError, FetchFailure, FetchLimits, fetch_file
from services.runtime.net import ForbiddenAddressError, parse_networks, public_connector
from tests.support.raw_server import Peer, Script, raw_server

LIMITS = FetchLimits(max_bytes=100_000, connect_timeout_s=5, total_timeout_s=5)
LOOPBACK = "127.0.0.0/8,::1/128"
CONTENT = bytes(range(256)) * 100


@asynccontextmanager
async def session(allow: str = LOOPBACK) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=public_connector(parse_networks(allow))) as opened:
        yield opened


async def fetch(
    url: str, path: Path, limits: FetchLimits = LIMITS, allow: str = LOOPBACK
) -> Fetched:
    async with session(allow) as opened:
        return await fetch_file(url, path, lambda _hop: opened, limits)


async def serve_file(peer: Peer) -> None:
    await peer.read_request()
    await peer.reply(CONTENT, headers="Content-Type: image/png\r\n")


async def test_file_is_written_whole_with_its_digest(tmp_path: Path) -> None:
    async with raw_server(serve_file) as server:
        fetched = await fetch(f"{server.url}/a.png", tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == CONTENT
    assert fetched.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert (fetched.size_bytes, fetched.content_type) == (len(CONTENT), "image/png")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.1"])
async def test_private_address_is_never_dialled(host: str, tmp_path: Path) -> None:
    async with raw_server(serve_file) as server:
        with pytest.raises(ForbiddenAddressError):
            await fetch(f"http://{host}:{server.port}/a.png", tmp_path / "a", allow="")

    assert server.connections == 0
    assert not (tmp_path / "a").exists()


async def test_legacy_number_for_an_address_is_a_bad_url(tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        await fetch("http://2130706433/a.png", tmp_path / "a", allow="")

    assert caught.value.failure is FetchFailure.BAD_URL


def redirect_to(target: str) -> Script:
    async def script(peer: Peer) -> None:
        request = await peer.read_request()
        if request.line.startswith("GET /start"):
            await peer.reply(b"", "302 Found", f"Location: {target}\r\n")
        else:
            await peer.reply(CONTENT)

    return script


async def test_redirect_is_followed(tmp_path: Path) -> None:
    async with raw_server(redirect_to("/file")) as server:
        fetched = await fetch(f"{server.url}/start", tmp_path / "a")

    assert fetched.url == f"{server.url}/file"


async def test_redirect_into_a_private_range_is_refused(tmp_path: Path) -> None:
    async with raw_server(redirect_to("http://10.0.0.1/file")) as server:
        with pytest.raises(ForbiddenAddressError, match=r"10\.0\.0\.1"):
            await fetch(f"{server.url}/start", tmp_path / "a")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://x.test/", "http://u:p@x.test/"])
async def test_redirect_to_another_scheme_is_refused(target: str, tmp_path: Path) -> None:
    async with raw_server(redirect_to(target)) as server:
        with pytest.raises(FetchError) as caught:
            await fetch(f"{server.url}/start", tmp_path / "a")

    assert caught.value.failure is FetchFailure.BAD_URL


async def test_endless_redirect_ends(tmp_path: Path) -> None:
    async with raw_server(redirect_to("/start")) as server:
        with pytest.raises(FetchError) as caught:
            await fetch(f"{server.url}/start", tmp_path / "a")

    assert caught.value.failure is FetchFailure.REDIRECTS
    assert len(server.requests) == LIMITS.max_redirects + 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x.test/a",
        "file:///etc/passwd",
        "http://",
        "x",
        "http://u@x.test/",
        "http://[/",
        "http://x..test/a",
        f"http://{'x' * 3000}/",
        "http://a\x00b.test/",
        "http://x.test/a\x00",
        "http://x.test/\r\nHost: y",
    ],
)
async def test_url_that_is_not_plain_http_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        await fetch(url, tmp_path / "a")

    assert caught.value.failure is FetchFailure.BAD_URL


async def announce_too_much(peer: Peer) -> None:
    await peer.read_request()
    await peer.reply(b"x", length=10**9)
    await peer.read_to_end()


async def send_too_much(peer: Peer) -> None:
    await peer.read_request()
    peer.writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 200_000)
    await peer.read_to_end()


async def send_less(peer: Peer) -> None:
    await peer.read_request()
    await peer.reply(CONTENT, length=len(CONTENT) + 1)


async def say_nothing(peer: Peer) -> None:
    await peer.read_to_end()


async def send_and_stall(peer: Peer) -> None:
    await peer.read_request()
    await peer.reply(CONTENT, length=len(CONTENT) + 1)
    await peer.read_to_end()


async def hang_up(peer: Peer) -> None:
    await peer.read_request()
    peer.reset()


async def say_gone(peer: Peer) -> None:
    await peer.read_request()
    await peer.reply(b"expired", "403 Forbidden")


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        (announce_too_much, FetchFailure.TOO_BIG),
        (send_too_much, FetchFailure.TOO_BIG),
        (send_less, FetchFailure.CUT),
        (say_nothing, FetchFailure.TIMED_OUT),
        (send_and_stall, FetchFailure.TIMED_OUT),
        (hang_up, FetchFailure.UNREACHABLE),
        (say_gone, FetchFailure.STATUS),
    ],
)
async def test_failed_transfer_says_why_and_leaves_no_file(
    script: Script, failure: FetchFailure, tmp_path: Path
) -> None:
    patience_s = 0.4 if failure is FetchFailure.TIMED_OUT else 10
    limits = FetchLimits(max_bytes=100_000, total_timeout_s=patience_s)
    async with raw_server(script) as server:
        with pytest.raises(FetchError) as caught:
            await fetch(f"{server.url}/a", tmp_path / "a", limits)

    assert caught.value.failure is failure
    assert caught.value.status == (403 if failure is FetchFailure.STATUS else None)
    assert not (tmp_path / "a").exists()


async def test_cancelled_fetch_leaves_no_file(tmp_path: Path) -> None:
    async with raw_server(send_and_stall) as server:
        task = asyncio.create_task(fetch(f"{server.url}/a", tmp_path / "a"))
        await asyncio.wait_for(server.asked.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("failure", "status", "is_lasting"),
    [
        (FetchFailure.STATUS, 410, True),
        (FetchFailure.STATUS, 429, False),
        (FetchFailure.STATUS, 503, False),
        (FetchFailure.TOO_BIG, None, True),
        (FetchFailure.CUT, None, False),
        (FetchFailure.TIMED_OUT, None, False),
    ],
)
def test_error_says_whether_a_repeat_is_of_use(
    failure: FetchFailure, status: int | None, is_lasting: bool
) -> None:
    assert FetchError(failure, "x", status).is_lasting is is_lasting
