"""Signed links serve exactly their blob, whole or in part, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from services.runtime.blobs import BlobStore
from services.runtime.media_links import sign_link
from tests.support.blob_folder import erase
from tests.support.webhook_gateway import (
    MEDIA_KEY,
    Reply,
    connected,
    exchange,
    gateway_env,
    http_request,
    running_gateway,
)

# No database is needed: nobody listens there.
NO_DATABASE = "postgresql://etapa@127.0.0.1:9/etapa"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4


@dataclass(frozen=True)
class Site:
    """A gateway with one blob."""

    port: int
    blobs: BlobStore
    folder: Path

    async def get(self, target: str, method: str = "GET", **headers: str) -> Reply:
        """Ask for a target."""
        pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        request = http_request(target, method=method, headers=pairs)
        return await exchange(self.port, request, has_body=method != "HEAD")

    async def link(self, data: bytes = PNG, name: str = "a.png", expires_at: int = 0) -> str:
        """Put a blob and sign a link to it."""
        blob = await self.blobs.put(data)
        return link_to(blob.sha256, name, expires_at)


def link_to(sha256: str, name: str = "a.png", expires_at: int = 0, key: str = MEDIA_KEY) -> str:
    """Sign a link; return its path and query."""
    parts = urlsplit(sign_link("http://x", key.encode(), sha256, name, expires_at))
    return f"{parts.path}?{parts.query}"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Run a gateway on a blob store of its own."""
    folder = str(tmp_path / "blobs")
    async with running_gateway(gateway_env(NO_DATABASE, folder)) as port:
        yield Site(port, BlobStore(folder), Path(folder))


async def test_a_link_serves_its_blob(site: Site) -> None:
    reply = await site.get(await site.link())

    assert (reply.status, reply.body) == (200, PNG)
    assert reply.headers["content-type"] == "image/png"
    assert reply.headers["content-length"] == str(len(PNG))
    assert reply.headers["accept-ranges"] == "bytes"
    assert "private" in reply.headers["cache-control"]
    assert "immutable" in reply.headers["cache-control"]
    assert reply.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert reply.headers["x-content-type-options"] == "nosniff"


async def test_the_etag_is_the_digest_and_spares_a_second_transfer(site: Site) -> None:
    link = await site.link()
    etag = (await site.get(link)).headers["etag"]
    again = await site.get(link, If_None_Match=etag)

    assert etag.strip('"') in link
    assert (again.status, again.body) == (304, b"")


async def test_head_tells_the_size_without_the_bytes(site: Site) -> None:
    reply = await site.get(await site.link(), "HEAD")

    assert (reply.status, reply.headers["content-length"]) == (200, str(len(PNG)))


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-", 1000, len(PNG)),
        ("bytes=-24", len(PNG) - 24, len(PNG)),
        ("bytes=5-99999", 5, len(PNG)),
    ],
)
async def test_a_range_is_served_in_part(site: Site, asked: str, start: int, stop: int) -> None:
    reply = await site.get(await site.link(), Range=asked)

    assert (reply.status, reply.body) == (206, PNG[start:stop])
    assert reply.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(PNG)}"


async def test_a_range_beyond_the_end_is_answered_416(site: Site) -> None:
    reply = await site.get(await site.link(), Range="bytes=99999-")

    assert reply.status == 416
    assert reply.headers["content-range"] == f"bytes */{len(PNG)}"


@pytest.mark.parametrize("asked", ["lines=1-2", "bytes=x-y", "bytes=5-1,7-9"])
async def test_a_range_that_makes_no_sense_gets_the_whole(site: Site, asked: str) -> None:
    reply = await site.get(await site.link(), Range=asked)

    assert (reply.status, reply.body) == (200, PNG)


async def test_a_range_of_another_version_gets_the_whole(site: Site) -> None:
    reply = await site.get(await site.link(), Range="bytes=0-9", If_Range='"another"')

    assert (reply.status, reply.body) == (200, PNG)


async def test_a_large_blob_is_streamed_whole(site: Site) -> None:
    data = bytes(range(256)) * 12_000
    reply = await site.get(await site.link(data, "v.mp4"))

    assert reply.body == data


async def test_a_blob_erased_while_it_is_sent_breaks_the_connection_off(site: Site) -> None:
    blob = await site.blobs.put(bytes(32 * 1024 * 1024))
    with capture_logs() as lines:
        async with connected(site.port) as (reader, writer):
            writer.write(http_request(link_to(blob.sha256, "v.mp4"), method="GET"))
            head = await reader.readuntil(b"\r\n\r\n")
            erase(site.folder, blob.sha256)
            async with asyncio.timeout(20):
                body = await reader.read()
    assert b"Content-Length: 33554432" in head
    assert len(body) < blob.bytes
    assert [line["event"] for line in lines if line["log_level"] != "info"] == ["media_broken_off"]


async def test_every_wrong_link_is_answered_404(site: Site) -> None:
    good = await site.link()
    path, _, query = good.partition("?")
    digest = path.split("/")[2]
    flipped = good[:-1] + ("0" if good[-1] != "0" else "1")
    wrong = [
        path,
        f"{path}?exp=0",
        flipped,
        f"{path}?exp=99&{query.partition('&')[2]}",
        good.replace("a.png", "b.png"),
        link_to(digest, key="another key"),
        link_to(digest, expires_at=int(time.time()) - 10),
        link_to("0" * 64),
        good.replace(digest, digest.upper()),
        f"/media/../{digest}/a.png?{query}",
        f"/media/{digest}/..%2f..%2fetc?{query}",
    ]

    assert {(await site.get(link)).status for link in wrong} == {404}


async def test_a_link_is_good_until_it_expires(site: Site) -> None:
    reply = await site.get(await site.link(expires_at=int(time.time()) + 60))

    assert reply.status == 200
    age = int(reply.headers["cache-control"].partition("max-age=")[2].partition(",")[0])
    assert 0 < age <= 60


async def test_an_erased_blob_is_answered_404(site: Site) -> None:
    blob = await site.blobs.put(b"a face")
    erase(site.folder, blob.sha256)

    assert (await site.get(link_to(blob.sha256))).status == 404


async def test_a_page_dressed_as_media_is_not_served_as_a_page(site: Site) -> None:
    page = b"<html><script>alert(1)</script>"
    reply = await site.get(await site.link(page, "x.html"))

    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_media_is_only_read(site: Site, method: str) -> None:
    assert (await site.get(await site.link(), method)).status == 405


async def test_without_a_key_no_link_is_good(tmp_path: Path) -> None:
    folder = str(tmp_path / "blobs")
    env = gateway_env(NO_DATABASE, folder, ETAPA_MEDIA_KEY="")
    async with running_gateway(env) as port:
        site = Site(port, BlobStore(folder), Path(folder))
        blob = await site.blobs.put(PNG)

        assert (await site.get(link_to(blob.sha256))).status == 404
        assert (await site.get(link_to(blob.sha256, key="x"))).status == 404
