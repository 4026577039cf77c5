"""The client over real sockets: what each call sends, and what its record holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator

import pytest

from services.runninghub.client import RunningHubClient
from services.runninghub.exchange import Transport
from services.runninghub.provider import Provider
from services.runninghub.report import StartOutcome, TaskState
from services.runninghub.request import Media
from tests.support.raw_server import raw_server
from tests.support.start_call import (
    ACCEPTED,
    KEY,
    QUICK,
    accept,
    account,
    answer,
    silence,
    start_at,
)


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

    sent = [(r.line.split()[1], json.loads(r.body)) for r in server.requests]
    assert sent == [
        ("/task/openapi/cancel", {"apiKey": KEY, "taskId": "1"}),
        ("/task/openapi/getWebhookDetail", {"apiKey": KEY, "taskId": "1"}),
        (
            "/task/openapi/retryWebhook",
            {"apiKey": KEY, "webhookId": "5", "webhookUrl": "https://jobs.example.test/x"},
        ),
    ]
    assert {r.header("Authorization") for r in server.requests} == {f"Bearer {KEY}"}


async def test_get_call_asks_for_an_app() -> None:
    ok = answer(b'{"code":0,"data":{}}', "200 OK")
    async with raw_server(ok) as server, RunningHubClient(QUICK) as client:
        await client.app_demo(account(server.url), "77")

    assert [request.line for request in server.requests] == [
        f"GET /api/webapp/apiCallDemo?apiKey={KEY}&webappId=77 HTTP/1.1",
    ]


async def test_query_reads_the_task() -> None:
    async with raw_server(accept) as server, RunningHubClient(QUICK) as client:
        call = await client.query(account(server.url), "1990000000000000023")

    assert json.loads(server.requests[0].body) == {"taskId": "1990000000000000023"}
    assert call.reply is not None
    assert call.reply.state is TaskState.RUNNING


def test_key_is_not_in_the_repr_of_an_account() -> None:
    assert KEY not in repr(account("http://x.test"))
