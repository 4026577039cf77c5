"""Every form in which HTTP/1.1 frames a reply is read to its end, and nothing beyond it."""

from __future__ import annotations

import asyncio

import pytest

from services.runninghub.client import RunningHubClient
from services.runninghub.connection import MAX_HEAD_BYTES
from services.runninghub.exchange import Transport
from tests.support.raw_server import Peer, Script, raw_server
from tests.support.start_call import ACCEPTED, QUICK, account

HALF = len(ACCEPTED) // 2
CHUNKED = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (
    HALF,
    ACCEPTED[:HALF],
    len(ACCEPTED) - HALF,
    ACCEPTED[HALF:],
)
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(ACCEPTED), ACCEPTED)


def says(*pieces: bytes, then_close: bool = False) -> Script:
    """Return a script that answers every request by these bytes, piece by piece."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            for piece in pieces:
                peer.writer.write(piece)
                await peer.writer.drain()
                await asyncio.sleep(0)
            if then_close:
                return

    return script


@pytest.mark.parametrize(
    ("script", "connections"),
    [
        (says(PLAIN), 1),
        (says(*[bytes([byte]) for byte in PLAIN]), 1),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNKED), 1),
        (says(b"HTTP/1.1 100 Continue\r\n\r\n", PLAIN), 1),
        (says(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + PLAIN), 1),
        (says(b"HTTP/1.1 200 OK\r\n\r\n", ACCEPTED, then_close=True), 2),
        (says(PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")), 2),
        (says(PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0")), 2),
        (says(PLAIN + PLAIN), 2),  # a second reply spoils the connection
        (says(PLAIN + b"garbage"), 2),
    ],
    ids=[
        "length",
        "byte by byte",
        "chunks with a trailer",
        "go on first",
        "hints first",
        "until closed",
        "asks to close",
        "1.0",
        "twice",
        "garbage behind",
    ],
)
async def test_reply_is_read_to_its_end(script: Script, connections: int) -> None:
    async with raw_server(script) as server, RunningHubClient(QUICK) as client:
        calls = [await client.query(account(server.url), "1") for _ in range(2)]

    for call in calls:
        assert call.transport is Transport.REPLIED, call.exchange.error
        assert call.exchange.response_status == 200
        assert call.exchange.response_body == ACCEPTED
        assert "X-Trailer" not in dict(call.exchange.response_headers)
        assert "Link" not in dict(call.exchange.response_headers)
    assert server.connections == connections


async def test_reply_without_a_body_ends_with_its_head() -> None:
    bare = says(b"HTTP/1.1 204 No Content\r\n\r\n")
    async with raw_server(bare) as server, RunningHubClient(QUICK) as client:
        call = await client.query(account(server.url), "1")

    assert (call.exchange.response_status, call.exchange.response_body) == (204, b"")


@pytest.mark.parametrize(
    "script",
    [
        says(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * (MAX_HEAD_BYTES + 1)),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        says(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", then_close=True),
    ],
    ids=["endless head", "two lengths", "another protocol", "half a chunk"],
)
async def test_what_is_no_whole_reply_is_told_as_such(script: Script) -> None:
    async with raw_server(script) as server, RunningHubClient(QUICK) as client:
        call = await client.query(account(server.url), "1")

    assert call.transport is Transport.SENT_NO_REPLY
    assert call.exchange.error.startswith("BrokenReplyError: ")
