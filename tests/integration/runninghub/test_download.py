"""Output downloads: the account's own host is trusted, nothing else in a private range is."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.runninghub.client import RunningHubClient
from services.runninghub.request import Account
from services.runtime.fetch import FetchLimits
from services.runtime.net import ForbiddenAddressError, parse_networks
from tests.support.raw_server import Peer, raw_server

LIMITS = FetchLimits(max_bytes=1000, total_timeout_s=5)


async def serve(peer: Peer) -> None:
    request = await peer.read_request()
    if request.line.startswith("GET /away"):
        location = f"Location: http://localhost:{peer.server.port}/out.png\r\n"
        await peer.reply(b"", "302 Found", location)
    else:
        await peer.reply(b"pixels")


async def test_output_on_the_own_host_is_saved_without_our_key(tmp_path: Path) -> None:
    async with raw_server(serve) as server, RunningHubClient() as client:
        account = Account("main", server.url, "secret-key")
        url = f"{server.url}/out.png"

        fetched = await client.download(account, url, tmp_path / "out", LIMITS)

    assert (tmp_path / "out").read_bytes() == b"pixels"
    assert fetched.size_bytes == 6
    assert b"secret-key" not in server.requests[0].head


@pytest.mark.parametrize("host", ["own", "localhost"])
async def test_output_in_a_private_range_is_refused(host: str, tmp_path: Path) -> None:
    async with raw_server(serve) as server, RunningHubClient() as client:
        account = Account("main", server.url, "k")
        foreign = f"http://localhost:{server.port}/out.png"
        url = f"{server.url}/away" if host == "own" else foreign

        with pytest.raises(ForbiddenAddressError, match="localhost"):
            await client.download(account, url, tmp_path / "out", LIMITS)


async def test_output_in_an_allowed_range_is_saved(tmp_path: Path) -> None:
    allow = parse_networks("127.0.0.0/8,::1/128")
    async with raw_server(serve) as server, RunningHubClient(fetch_allow=allow) as client:
        account = Account("main", "https://www.runninghub.example", "k")

        await client.download(account, f"{server.url}/out.png", tmp_path / "out", LIMITS)

    assert (tmp_path / "out").read_bytes() == b"pixels"
