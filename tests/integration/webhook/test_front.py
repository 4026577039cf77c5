"""One connection may carry anything: what is plain is served in front, the rest behind it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket

import pytest
from structlog.testing import capture_logs

from services.runtime.db import open_pool
from services.webhook import front
from services.webhook.front import CallbackFront
from services.webhook.held import Passage
from services.webhook.inbox import Inbox
from tests.integration.webhook.conftest import Lone
from tests.support.waiting import eventually
from tests.support.webhook_gateway import (
    connected,
    http_request,
    inbox_rows,
    post,
    read_reply,
    start_process,
)

TOKEN = "k3eWq0hY-tokenOfAnAttempt_0123456789abcdefgh"
TARGET = f"/runninghub/{TOKEN}"
HEALTH = http_request("/healthz", method="GET")
CHUNKED = (
    f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
).encode()


async def test_a_callback_in_pieces_is_kept_whole(lone: Lone) -> None:
    request = http_request(TARGET, b"x" * 3000)
    async with connected(lone.port) as (reader, writer):
        for start in range(0, len(request), 100):
            writer.write(request[start : start + 100])
            await writer.drain()
            await asyncio.sleep(0)
        assert (await read_reply(reader)).status == 200

    assert [row["body"] for row in await inbox_rows(lone.dsn)] == [b"x" * 3000]


async def test_a_connection_that_turns_strange_goes_on_as_it_was(lone: Lone) -> None:
    async with connected(lone.port) as (reader, writer):
        for request in (http_request(TARGET, b"1"), HEALTH, http_request(TARGET, b"2"), CHUNKED):
            writer.write(request)
            assert (await read_reply(reader)).status == 200

    assert [row["body"] for row in await inbox_rows(lone.dsn)] == [b"1", b"2", b"abc"]


async def test_pipelined_requests_of_all_kinds_are_answered_in_turn(lone: Lone) -> None:
    other = http_request(TARGET, method="DELETE")
    async with connected(lone.port) as (reader, writer):
        writer.write(
            http_request(TARGET, b"1") + http_request(TARGET, b"2") + other + HEALTH + CHUNKED
        )
        replies = [await read_reply(reader) for _ in range(5)]

    assert [reply.status for reply in replies] == [200, 200, 405, 200, 200]
    assert json.loads(replies[3].body)["ready"]
    assert [row["body"] for row in await inbox_rows(lone.dsn)] == [b"1", b"2", b"abc"]


async def test_who_asks_first_is_told_to_go_on(lone: Lone) -> None:
    head = f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    async with connected(lone.port) as (reader, writer):
        writer.write(http_request(TARGET, b"1") + head.encode())
        assert (await read_reply(reader)).status == 200
        async with asyncio.timeout(5):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        assert (await read_reply(reader)).status == 200


async def test_garbage_behind_a_callback_is_one_log_line_and_a_400(lone: Lone) -> None:
    with capture_logs() as lines:
        async with connected(lone.port) as (reader, writer):
            writer.write(http_request(TARGET, b"1") + f"BR(OKEN {TARGET}\r\n\r\n".encode())
            assert (await read_reply(reader)).status == 200
            assert (await read_reply(reader)).status == 400
            assert await reader.read() == b""

    malformed = [line for line in lines if line["event"] == "http_request_malformed"]
    assert len(malformed) == 1
    assert TOKEN not in str(malformed)


async def test_a_connection_that_idles_is_closed(lone: Lone) -> None:
    async with connected(lone.port) as (fresh, _), connected(lone.port) as (used, writer):
        writer.write(http_request(TARGET, b"1"))
        assert (await read_reply(used)).status == 200
        async with asyncio.timeout(10):
            assert await fresh.read() == b""
            assert await used.read() == b""


async def test_who_reads_no_answers_is_not_read_for_ever(dsn: str) -> None:
    count = 10_000
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    pool = await open_pool(dsn, "webhook")
    inbox = Inbox(pool, Passage(pool, ()), timeout_s=5)
    edge = CallbackFront(inbox, max_bytes=1024, idle_timeout_s=60)
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(edge.over(asyncio.Protocol), ours)
    reader, writer = await asyncio.open_connection(sock=theirs)
    writer.write(http_request(TARGET, b"x") * count)

    kept = await _settled(dsn)
    assert 0 < kept < count // 2
    for _ in range(count):
        assert (await read_reply(reader)).status == 200
    assert len(await inbox_rows(dsn)) == count

    writer.close()
    await edge.drain(5)
    await inbox.close()
    await pool.close()


async def _settled(dsn: str) -> int:
    """Wait until the inbox grows no more; return how much is in it."""
    before, now = -1, 0
    while now != before or not now:
        await asyncio.sleep(0.3)
        before, now = now, len(await inbox_rows(dsn))
    return now


async def test_who_comes_too_many_is_closed_and_room_is_made_again(
    lone: Lone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "MOST_CONNECTIONS", 2)
    async with connected(lone.port) as (reader, writer):
        writer.write(HEALTH)
        assert (await read_reply(reader)).status == 200
        async with connected(lone.port) as (second, _):
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await post(lone.port, TARGET)
            assert not second.at_eof()

        async def there_is_room() -> bool:
            try:
                return (await post(lone.port, TARGET)).status == 200
            except (asyncio.IncompleteReadError, ConnectionError):
                return False

        await eventually(there_is_room)


async def test_sigterm_closes_idle_connections_at_once(joined_env: dict[str, str]) -> None:
    process = await start_process(joined_env)
    async with connected(process.port) as (fresh, _), connected(process.port) as (used, writer):
        writer.write(http_request(TARGET, b"1"))
        assert (await read_reply(used)).status == 200
        process.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await fresh.read() == b""
            assert await used.read() == b""
    assert await process.ended() == 0
