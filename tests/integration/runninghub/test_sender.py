"""How far a start call got is told rightly over real sockets, whatever the server does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest

from services.runninghub.client import Limits, RunningHubClient
from services.runninghub.exchange import Call, Transport
from services.runninghub.report import StartReply
from services.runninghub.request import Account
from services.runninghub.verdicts import Stage, Verdict, classify, evidence_of
from tests.support.raw_server import Peer, RawServer, Script, raw_server
from tests.support.start_call import (
    ACCEPTED,
    IMPATIENT,
    QUICK,
    REQUEST,
    accept,
    account,
    answer,
    hang_up,
    silence,
    start_at,
)


def verdict_on(call: Call[StartReply]) -> Verdict:
    return classify(evidence_of(Stage.START, call.reply, call.transport))


async def test_refused_connection_was_never_sent() -> None:
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        call = await start_at(f"http://127.0.0.1:{held.getsockname()[1]}")

    assert call.transport is Transport.NEVER_SENT
    assert "Connect" in call.exchange.error
    assert verdict_on(call).error_class == "provider_unreachable"


async def test_unknown_host_was_never_sent() -> None:
    call = await start_at("http://no-such-host.invalid")

    assert call.transport is Transport.NEVER_SENT
    assert call.exchange.error.startswith("ConnectError: cannot connect to no-such-host.invalid")


async def test_wrong_base_url_was_never_sent() -> None:
    call = await start_at("http://")

    assert call.transport is Transport.NEVER_SENT


async def test_closed_client_sends_nothing() -> None:
    async with raw_server(accept) as server:
        client = RunningHubClient(QUICK)
        await client.close()
        call = await client.start(account(server.url), REQUEST)

    assert call.transport is Transport.NEVER_SENT
    assert call.exchange.error == "ConnectError: the client is closed"


async def plain_text(peer: Peer) -> None:
    await peer.reader.read(1)
    await peer.reply(b"this is no TLS")


@pytest.mark.parametrize("script", [plain_text, hang_up, silence])
async def test_failed_tls_handshake_was_never_sent(script: Script) -> None:
    async with raw_server(script) as server:
        tls_url = server.url.replace("http:", "https:")
        call = await start_at(tls_url, Limits(connect_timeout_s=0.5))

    assert call.transport is Transport.NEVER_SENT
    assert not server.requests


async def reset_after_head(peer: Peer) -> None:
    await peer.reader.readuntil(b"\r\n\r\n")
    peer.reset()


async def reset_after_body(peer: Peer) -> None:
    await peer.read_request()
    peer.reset()


async def close_after_body(peer: Peer) -> None:
    await peer.read_request()


async def half_head(peer: Peer) -> None:
    await peer.read_request()
    peer.writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")


async def half_body(peer: Peer) -> None:
    await peer.read_request()
    await peer.reply(ACCEPTED[:20], length=len(ACCEPTED))


async def garbage(peer: Peer) -> None:
    await peer.read_request()
    peer.writer.write(b"\x00\x01SSH-2.0-OpenSSH\r\n\r\n")


@pytest.mark.parametrize(
    "script",
    [reset_after_head, reset_after_body, close_after_body, half_head, half_body, garbage, silence],
)
async def test_request_without_whole_reply_may_have_been_received(script: Script) -> None:
    async with raw_server(script) as server:
        call = await start_at(server.url, IMPATIENT)

    assert call.transport is Transport.SENT_NO_REPLY
    assert call.reply is None
    assert call.exchange.error
    assert verdict_on(call).error_class == "submit_unknown"
    assert server.connections == 1  # never repeated inside


async def test_half_reply_keeps_what_came() -> None:
    async with raw_server(half_body) as server:
        call = await start_at(server.url)

    assert call.exchange.response_status == 200
    assert call.exchange.response_body == ACCEPTED[:20]


async def test_time_out_is_told_in_words() -> None:
    async with raw_server(silence) as server:
        call = await start_at(server.url, IMPATIENT)

    assert call.exchange.error == "no whole reply within 0.3 s"


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        ("502 Bad Gateway", "submit_unknown"),
        ("429 Too Many Requests", "rate_limited"),
        ("401 Unauthorized", "account_unauthorized"),
        ("302 Found", "client_fault"),
    ],
)
async def test_page_instead_of_json_is_a_reply_kept_as_it_came(
    status: str, error_class: str
) -> None:
    page = "<html>página</html>".encode("latin-1")
    async with raw_server(answer(page, status, "Location: /elsewhere\r\nX-Edge: ç\r\n")) as server:
        call = await start_at(server.url)

    assert call.transport is Transport.REPLIED
    assert call.exchange.response_body == page
    assert ("X-Edge", "ç".encode().decode("latin-1")) in call.exchange.response_headers
    assert verdict_on(call).error_class == error_class
    assert server.connections == 1


async def test_oversized_reply_is_cut_and_flagged() -> None:
    limits = Limits(max_reply_bytes=1000)
    async with raw_server(answer(b"x" * 500_000, "200 OK")) as server:
        call = await start_at(server.url, limits)

    assert call.exchange.is_truncated
    assert call.exchange.response_body == b"x" * 1000
    assert verdict_on(call).error_class == "submit_unknown"


async def keep_serving(peer: Peer) -> None:
    while True:
        await accept(peer)


async def test_starts_in_a_row_share_a_connection() -> None:
    async with raw_server(keep_serving) as server, RunningHubClient(QUICK) as client:
        calls = [await client.start(account(server.url), REQUEST) for _ in range(3)]

    assert [call.transport for call in calls] == [Transport.REPLIED] * 3
    assert server.connections == 1


async def test_start_takes_no_connection_that_the_server_closed_while_it_idled() -> None:
    closed = asyncio.Event()

    async def serve_one_then_close(peer: Peer) -> None:
        await peer.read_request()
        await peer.reply(ACCEPTED, headers="Connection: keep-alive\r\nKeep-Alive: timeout=600\r\n")
        peer.writer.close()
        await peer.writer.wait_closed()
        closed.set()

    async with raw_server(serve_one_then_close) as server, RunningHubClient(QUICK) as client:
        for _ in range(3):
            closed.clear()
            call = await client.start(account(server.url), REQUEST)
            assert call.transport is Transport.REPLIED
            await asyncio.wait_for(closed.wait(), 5)

    assert server.connections == 3


async def test_used_connection_closed_during_the_hook_was_never_sent() -> None:
    hooked, closed = asyncio.Event(), asyncio.Event()

    async def serve_one_then_close_when_told(peer: Peer) -> None:
        await accept(peer)
        await hooked.wait()
        peer.writer.close()
        await peer.writer.wait_closed()
        closed.set()

    async def hook() -> None:
        hooked.set()
        await asyncio.wait_for(closed.wait(), 5)

    async with (
        raw_server(serve_one_then_close_when_told) as server,
        RunningHubClient(QUICK) as client,
    ):
        await client.start(account(server.url), REQUEST)
        call = await client.start(account(server.url), REQUEST, before_first_byte=hook)

    assert call.transport is Transport.NEVER_SENT
    assert server.connections == 1
    assert len(server.requests) == 1


async def test_connection_of_a_start_is_closed_before_it_has_idled_for_long() -> None:
    async def serve_to_the_end(peer: Peer) -> None:
        await accept(peer)
        await peer.read_to_end()

    limits = Limits(connect_timeout_s=5, start_reply_timeout_s=5, max_idle_s=0.4)
    async with raw_server(serve_to_the_end) as server, RunningHubClient(limits) as client:
        await client.start(account(server.url), REQUEST)
        await asyncio.wait_for(server.done.wait(), 5)

    assert server.stray == b""


async def test_polls_share_a_connection() -> None:
    async with raw_server(keep_serving) as server, RunningHubClient(QUICK) as client:
        for _ in range(3):
            await client.query(account(server.url), "1990000000000000023")

    assert server.connections == 1


Hook = Callable[[], Awaitable[None]]


async def start_with_hook(
    server: RawServer, hook: Hook, limits: Limits = QUICK
) -> Call[StartReply]:
    async with RunningHubClient(limits) as client:
        return await client.start(account(server.url), REQUEST, before_first_byte=hook)


async def test_hook_runs_when_connected_and_before_the_first_byte() -> None:
    seen: list[tuple[int, int]] = []
    connected = asyncio.Event()

    async def serve(peer: Peer) -> None:
        connected.set()
        await accept(peer)

    async with raw_server(serve) as server:

        async def hook() -> None:
            await asyncio.wait_for(connected.wait(), 5)
            seen.append((server.connections, len(server.requests)))

        call = await start_with_hook(server, hook)

    assert seen == [(1, 0)]
    assert call.transport is Transport.REPLIED


async def test_hook_does_not_run_where_no_connection_stands() -> None:
    ran = []

    async def hook() -> None:
        ran.append(1)

    async with raw_server(hang_up) as server:
        tls = account(server.url.replace("http:", "https:"))
        async with RunningHubClient(QUICK) as client:
            call = await client.start(tls, REQUEST, before_first_byte=hook)

    assert call.transport is Transport.NEVER_SENT
    assert not ran


@pytest.mark.parametrize("error", [OSError("disk"), TimeoutError("db"), RuntimeError("x")])
async def test_error_of_the_hook_comes_out_and_nothing_was_sent(error: Exception) -> None:
    async def hook() -> None:
        raise error

    async with raw_server(silence) as server:
        with pytest.raises(type(error)) as caught:
            await start_with_hook(server, hook)
        await asyncio.wait_for(server.done.wait(), 5)

    assert caught.value is error
    assert server.stray == b""


async def test_connection_that_grew_old_during_the_hook_is_not_used() -> None:
    async def hook() -> None:
        await asyncio.sleep(0)

    async with raw_server(silence) as server:
        call = await start_with_hook(server, hook, Limits(start_reply_timeout_s=5, max_idle_s=0))
        await asyncio.wait_for(server.done.wait(), 5)

    assert call.transport is Transport.NEVER_SENT
    assert "idled" in call.exchange.error
    assert server.stray == b""


async def test_connection_closed_during_the_hook_is_not_used() -> None:
    async def close_first(peer: Peer) -> None:
        peer.writer.write_eof()
        await peer.read_to_end()

    async with raw_server(close_first) as server:

        async def hook() -> None:
            await asyncio.wait_for(server.done.wait(), 5)

        call = await start_with_hook(server, hook)

    assert call.transport is Transport.NEVER_SENT
    assert server.stray == b""


async def test_slow_hook_does_not_eat_the_time_for_the_reply() -> None:
    limits = Limits(start_reply_timeout_s=0.5, max_idle_s=30)
    late = asyncio.Event()
    asyncio.get_running_loop().call_later(0.7, late.set)

    async def hook() -> None:
        await late.wait()

    async with raw_server(accept) as server:
        call = await start_with_hook(server, hook, limits)

    assert call.transport is Transport.REPLIED


async def test_cancelled_start_passes_the_cancellation_on() -> None:
    reached = asyncio.Event()

    async def swallow(peer: Peer) -> None:
        await peer.read_request()
        reached.set()
        await peer.read_to_end()

    async with raw_server(swallow) as server:
        task = asyncio.create_task(start_at(server.url))
        await asyncio.wait_for(reached.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_full_pool_times_out_as_never_sent() -> None:
    limits = Limits(max_starts=1, connect_timeout_s=0.3, start_reply_timeout_s=30)
    reached = asyncio.Event()

    async def hold(peer: Peer) -> None:
        await peer.read_request()
        reached.set()
        await peer.read_to_end()

    async with raw_server(hold) as server, RunningHubClient(limits) as client:
        first = asyncio.create_task(client.start(account(server.url), REQUEST))
        await asyncio.wait_for(reached.wait(), 5)
        second = await client.start(account(server.url), REQUEST)
        first.cancel()

    assert second.transport is Transport.NEVER_SENT


async def test_line_break_in_a_key_becomes_no_header() -> None:
    async with raw_server(accept) as server, RunningHubClient(QUICK) as client:
        who = Account("main", server.url, "key\r\nX-Injected: yes")
        call = await client.start(who, REQUEST)

    assert call.transport is Transport.NEVER_SENT
    assert not server.requests
