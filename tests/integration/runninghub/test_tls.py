"""The provider is called over TLS: certificates are checked, connections shared as without it."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from services.runninghub.client import RunningHubClient
from services.runninghub.exchange import Transport
from tests.support.raw_server import Peer, raw_server
from tests.support.start_call import ACCEPTED, QUICK, REQUEST, account, start_at

AUTHORITY = trustme.CA()


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system trust our authority, as OpenSSL is told to everywhere."""
    file = tmp_path / "authority.pem"
    AUTHORITY.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


def certificate(name: str) -> ssl.SSLContext:
    """Return a server's context with a certificate for that name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(name).configure_cert(context)
    return context


async def serve(peer: Peer) -> None:
    """Accept every start on one connection."""
    while True:
        await peer.read_request()
        await peer.reply(ACCEPTED)


@pytest.mark.usefixtures("trusted")
async def test_calls_share_a_connection_over_tls() -> None:
    async with raw_server(serve, certificate("127.0.0.1")) as server:
        async with RunningHubClient(QUICK) as client:
            for _ in range(3):
                call = await client.start(account(server.url), REQUEST)
                assert call.reply is not None
                assert call.reply.task_id == "1990000000000000023"
        assert (server.connections, len(server.requests)) == (1, 3)


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_of_another_name_gets_no_byte() -> None:
    async with raw_server(serve, certificate("other.example.test")) as server:
        call = await start_at(server.url)
    assert call.exchange.transport is Transport.NEVER_SENT
    assert "certificate" in call.exchange.error
    assert not server.requests


async def test_an_untrusted_certificate_gets_no_byte() -> None:
    async with raw_server(serve, certificate("127.0.0.1")) as server:
        call = await start_at(server.url)
    assert call.exchange.transport is Transport.NEVER_SENT
    assert "certificate" in call.exchange.error
    assert not server.requests


@pytest.mark.usefixtures("trusted")
async def test_a_close_over_tls_before_the_first_byte_is_never_sent() -> None:
    left = asyncio.Event()

    async def leave(peer: Peer) -> None:
        peer.writer.close()
        with suppress(OSError):
            await peer.writer.wait_closed()
        left.set()

    async def wait_until_left() -> None:
        await left.wait()

    async with (
        raw_server(leave, certificate("127.0.0.1")) as server,
        RunningHubClient(QUICK) as client,
    ):
        call = await client.start(account(server.url), REQUEST, before_first_byte=wait_until_left)
    assert call.exchange.transport is Transport.NEVER_SENT
    assert not server.requests
