"""The client over real sockets: how far a call got is told rightly, whatever the server does."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing

import pytest

from services.runninghub.client import Limits, RunningHubClient
from services.runninghub.exchange import Call, Transport
from services.runninghub.provider import Provider
from services.runninghub.report import StartOutcome, StartReply, TaskState
from services.runninghub.request import Account, Media, NodeValue, StartRequest
from services.runninghub.verdicts import Verdict, judge_start
from tests.support.raw_server import Peer, RawServer, Script, raw_server

KEY = "0123456789abcdef0123456789abcdef"
REQUEST = StartRequest(
    target_id="2037188547966406658",
    nodes=(NodeValue("1", "image", "openapi/ab.png"), NodeValue("548", "value", "2048")),
    webhook_url="https://jobs.example.test/runninghub/TOKEN",
)
ACCEPTED = b'{"taskId":"1990000000000000023","status":"RUNNING","errorCode":""}'
QUICK = Limits(connect_timeout_s=5, reply_timeout_s=5, start_reply_timeout_s=5)
IMPATIENT = Limits(connect_timeout_s=0.3, reply_timeout_s=0.3, start_reply_timeout_s=0.3)


def account(base_url: str) -> Account:
    return Account("main", base_url, KEY)


async def start_at(base_url: str, limits: Limits = QUICK) -> Call[StartReply]:
    async with RunningHubClient(limits) as client:
        return await client.start(account(base_url), REQUEST)


def verdict_on(call: Call[StartReply]) -> Verdict:
    verdict = judge_start(call.reply, call.transport)
    assert verdict is not None
    return verdict


async def accept(peer: Peer) -> None:
    await peer.read_request()
    await peer.reply(ACCEPTED)


def test_client_is_a_provider() -> None:
    kind: type[Provider] = RunningHubClient

    assert kind is RunningHubClient


async def test_start_sends_the_v2_request_and_records_it() -> None:
    async with raw_server(accept) as server:
        call = await start_at(server.url)

    request = server.requests[0]
    assert request.line == "POST /openapi/v2/run/ai-app/2037188547966406658 HTTP/1.1"
    assert request.header("Authorization") == f"Bearer {KEY}"
    assert json.loads(request.body) == {
        "nodeInfoList": [
            {"nodeId": "1", "fieldName": "image", "fieldValue": "openapi/ab.png"},
            {"nodeId": "548", "fieldName": "value", "fieldValue": "2048"},
        ],
        "instanceType": "default",
        "usePersonalQueue": False,
        "webhookUrl": "https://jobs.example.test/runninghub/TOKEN",
    }
    exchange = call.exchange
    assert exchange.request_body == request.body
    assert dict(exchange.request_headers)["Connection"] == "close"
    assert (exchange.transport, exchange.response_status) == (Transport.REPLIED, 200)
    assert exchange.response_body == ACCEPTED
    assert 0 < exchange.latency_s < 5
    assert exchange.started_at.tzinfo is not None
    assert call.reply is not None
    assert call.reply.outcome is StartOutcome.ACCEPTED


async def test_recorded_headers_are_those_that_were_sent() -> None:
    async with raw_server(accept) as server:
        call = await start_at(server.url)

    sent = server.requests[0].head.decode("latin-1").split("\r\n")[1:-2]
    assert [f"{name}: {value}" for name, value in call.exchange.request_headers] == sent


async def test_traceparent_is_not_sent_to_the_provider() -> None:
    async with raw_server(accept) as server:
        await start_at(server.url)

    assert server.requests[0].header("traceparent") == ""


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
    assert call.exchange.error.startswith("ClientConnectorDNSError")


async def test_wrong_base_url_was_never_sent() -> None:
    call = await start_at("http://")

    assert call.transport is Transport.NEVER_SENT


async def plain_text(peer: Peer) -> None:
    await peer.reader.read(1)
    await peer.reply(b"this is no TLS")


async def hang_up(peer: Peer) -> None:
    await peer.reader.read(1)
    peer.reset()


async def silence(peer: Peer) -> None:
    await peer.read_to_end()


@pytest.mark.parametrize("script", [plain_text, hang_up, silence])
async def test_failed_tls_handshake_was_never_sent(script: Script) -> None:
    async with raw_server(script) as server:
        call = await start_at(server.url.replace("http:", "https:"), IMPATIENT)

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


def answer(body: bytes, status: str, headers: str = "") -> Script:
    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.reply(body, status, headers)

    return script


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


async def serve_one_then_close(peer: Peer) -> None:
    await peer.read_request()
    await peer.reply(ACCEPTED, headers="Connection: keep-alive\r\nKeep-Alive: timeout=600\r\n")


async def test_start_never_uses_a_connection_that_has_been_used() -> None:
    async with raw_server(serve_one_then_close) as server, RunningHubClient(QUICK) as client:
        calls = [await client.start(account(server.url), REQUEST) for _ in range(3)]

    assert [call.transport for call in calls] == [Transport.REPLIED] * 3
    assert server.connections == 3


async def keep_serving(peer: Peer) -> None:
    while True:
        await accept(peer)


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
        call = await start_with_hook(server, hook, Limits(max_idle_s=0))
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


def media(content: bytes, name: str = 'a "b".png') -> Media:
    async def source() -> AsyncIterator[bytes]:
        for at in range(0, len(content), 1000):
            yield content[at : at + 1000]

    return Media(
        file_name=name,
        content_type="image/png",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        open=source,
    )


async def test_upload_streams_the_file_and_records_only_its_digest() -> None:
    content = bytes(range(256)) * 40
    reply = b'{"code":0,"data":{"fileName":"openapi/a.png","download_url":"https://x.test/a"}}'
    async with raw_server(answer(reply, "200 OK")) as server, RunningHubClient(QUICK) as client:
        call = await client.upload(account(server.url), media(content))

    request = server.requests[0]
    assert request.line == "POST /openapi/v2/media/upload/binary HTTP/1.1"
    assert request.body.count(content) == 1
    assert b'name="file"; filename="a _b_.png"\r\nContent-Type: image/png\r\n\r\n' in request.body
    assert call.reply is not None
    assert call.reply.is_ok
    assert call.reply.file_name == "openapi/a.png"
    assert call.exchange.request_body == b""
    assert call.exchange.media is not None
    assert call.exchange.media.sha256 == hashlib.sha256(content).hexdigest()


async def test_error_of_the_media_source_comes_out() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise LookupError("blob gone")

    lost = Media(
        file_name="a.png", content_type="image/png", size_bytes=9, sha256="00", open=broken
    )
    async with raw_server(silence) as server, RunningHubClient(QUICK) as client:
        with pytest.raises(LookupError, match="blob gone"):
            await client.upload(account(server.url), lost)


async def test_v1_calls_carry_the_key_in_body_and_header() -> None:
    ok = answer(b'{"code":0,"msg":"success","data":{}}', "200 OK")
    async with raw_server(ok) as server, RunningHubClient(QUICK) as client:
        who = account(server.url)
        await client.cancel(who, "1")
        await client.webhook_detail(who, "1")
        await client.retry_webhook(who, "5", "https://jobs.example.test/x")
        await client.account_status(who)

    sent = [(r.line.split()[1], json.loads(r.body)) for r in server.requests]
    assert sent == [
        ("/task/openapi/cancel", {"apiKey": KEY, "taskId": "1"}),
        ("/task/openapi/getWebhookDetail", {"apiKey": KEY, "taskId": "1"}),
        (
            "/task/openapi/retryWebhook",
            {"apiKey": KEY, "webhookId": "5", "webhookUrl": "https://jobs.example.test/x"},
        ),
        ("/uc/openapi/accountStatus", {"apiKey": KEY, "apikey": KEY}),
    ]
    assert {r.header("Authorization") for r in server.requests} == {f"Bearer {KEY}"}


async def test_get_calls_ask_for_app_and_queue() -> None:
    ok = answer(b'{"code":0,"data":{}}', "200 OK")
    async with raw_server(ok) as server, RunningHubClient(QUICK) as client:
        await client.app_demo(account(server.url), "77")
        await client.queue_status(account(server.url))

    assert [request.line for request in server.requests] == [
        f"GET /api/webapp/apiCallDemo?apiKey={KEY}&webappId=77 HTTP/1.1",
        "GET /openapi/v2/queue/status HTTP/1.1",
    ]


async def test_query_reads_the_task() -> None:
    async with raw_server(accept) as server, RunningHubClient(QUICK) as client:
        call = await client.query(account(server.url), "1990000000000000023")

    assert json.loads(server.requests[0].body) == {"taskId": "1990000000000000023"}
    assert call.reply is not None
    assert call.reply.state is TaskState.RUNNING


def test_key_is_not_in_the_repr_of_an_account() -> None:
    assert KEY not in repr(account("http://x.test"))
