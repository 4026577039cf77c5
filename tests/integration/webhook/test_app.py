"""Bytes in, commit, 200: whatever arrives is kept as it came."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from services.runtime.tracing import record_to
from tests.integration.webhook.conftest import Lone
from tests.support.waiting import eventually
from tests.support.webhook_gateway import (
    connected,
    exchange,
    http_request,
    inbox_rows,
    post,
    read_reply,
)

TOKEN = "k3eWq0hY-tokenOfAnAttempt_0123456789abcdefgh"
TARGET = f"/runninghub/{TOKEN}"
MAX_BYTES = 1024 * 1024


@pytest.mark.parametrize(
    "body",
    [
        b'{"event":"TASK_END","taskId":"1","eventData":"{}"}',
        b'{"event":"TASK_END","taskId":',
        b"",
        b"\x00\xff\xfe not text at all \r\n\r\n",
        b"null",
        b"[" * 50_000,
        '{"texto":"olá 你好"}'.encode(),
    ],
    ids=["known", "cut", "empty", "binary", "null", "deep", "unicode"],
)
async def test_any_body_is_answered_200_and_kept_to_the_byte(lone: Lone, body: bytes) -> None:
    reply = await post(lone.port, TARGET, body)

    (row,) = await inbox_rows(lone.dsn)
    assert reply.status == 200
    assert row["body"] == body
    assert row["body_bytes"] == len(body)
    assert not row["is_too_large"]


@pytest.mark.parametrize("kind", ["text/html", "multipart/form-data", "", "nonsense;;;"])
async def test_any_content_type_is_answered_200(lone: Lone, kind: str) -> None:
    request = http_request(TARGET, b"x", headers=(("Content-Type", kind),))

    assert (await exchange(lone.port, request)).status == 200


async def test_duplicates_are_each_kept_under_their_own_id(lone: Lone) -> None:
    for _ in range(3):
        assert (await post(lone.port, TARGET, b'{"taskId":"1"}')).status == 200

    rows = await inbox_rows(lone.dsn)
    assert len({row["delivery_id"] for row in rows}) == 3
    assert {row["body"] for row in rows} == {b'{"taskId":"1"}'}


async def test_the_token_is_kept_as_its_hash_and_nowhere_else(lone: Lone) -> None:
    await post(lone.port, f"{TARGET}?retry=1")
    await post(lone.port, f"/runninghub/video/{TOKEN}")

    plain, video = await inbox_rows(lone.dsn)
    assert plain["token_hash"] == video["token_hash"] == hashlib.sha256(TOKEN.encode()).digest()
    assert plain["target"] == b"/runninghub/" + b"*" * len(TOKEN) + b"?retry=1"
    assert video["target"] == b"/runninghub/video/" + b"*" * len(TOKEN)
    assert not any(TOKEN in repr(dict(row)) for row in (plain, video))


@pytest.mark.parametrize("token", ["x", "%FF%00", "a%2Fb", "ol%C3%A1", "~" * 4000, "..%2e", "a b"])
async def test_a_strange_token_is_answered_200_unless_it_is_no_http(lone: Lone, token: str) -> None:
    reply = await post(lone.port, f"/runninghub/{token}")

    assert reply.status == (400 if " " in token else 200)


async def test_headers_are_kept_in_order_with_their_bytes(lone: Lone) -> None:
    headers = (("X-B", "1"), ("x-a", "2"), ("X-B", "3"), ("X-Name", "Jos\xe9"))
    await exchange(lone.port, http_request(TARGET, b"x", headers=headers))

    (row,) = await inbox_rows(lone.dsn)
    assert row["headers"].split(b"\r\n")[1:5] == [
        b"X-B: 1",
        b"x-a: 2",
        b"X-B: 3",
        "X-Name: José".encode(),
    ]


async def test_a_compressed_body_is_kept_compressed(lone: Lone) -> None:
    body = gzip.compress(b"{}" * 1000)
    request = http_request(TARGET, body, headers=(("Content-Encoding", "gzip"),))

    assert (await exchange(lone.port, request)).status == 200
    assert (await inbox_rows(lone.dsn))[0]["body"] == body


async def test_a_chunked_body_is_kept_whole(lone: Lone) -> None:
    head = f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    reply = await exchange(lone.port, head + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")

    assert reply.status == 200
    assert (await inbox_rows(lone.dsn))[0]["body"] == b"hello world"


async def test_a_body_at_the_limit_is_kept(lone: Lone) -> None:
    body = bytes(range(256)) * (MAX_BYTES // 256)

    assert (await post(lone.port, TARGET, body)).status == 200
    assert (await inbox_rows(lone.dsn))[0]["body"] == body


async def test_a_declared_oversize_is_answered_413_and_recorded(lone: Lone) -> None:
    body = b"x" * (MAX_BYTES + 1)
    reply = await post(lone.port, TARGET, body)

    (row,) = await inbox_rows(lone.dsn)
    assert reply.status == 413
    assert row["is_too_large"]
    assert body.startswith(row["body"])
    assert len(row["body"]) == 64 * 1024 <= row["body_bytes"]
    assert f"Content-Length: {len(body)}".encode() in row["headers"]


async def test_a_chunked_oversize_is_counted_and_answered_413(lone: Lone) -> None:
    head = f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    piece = b"10000\r\n" + b"y" * 0x10000 + b"\r\n"
    async with connected(lone.port) as (reader, writer):
        writer.write(head + piece * 20 + b"0\r\n\r\n")
        reply = await read_reply(reader)

    (row,) = await inbox_rows(lone.dsn)
    assert reply.status == 413
    assert row["is_too_large"]
    assert row["body_bytes"] > MAX_BYTES
    assert row["body"] == b"y" * 64 * 1024


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_are_answered_405(lone: Lone, method: str) -> None:
    request = http_request(TARGET, method=method)
    reply = await exchange(lone.port, request, has_body=method != "HEAD")

    assert reply.status == 405
    assert reply.headers["allow"] == "POST"
    assert not await inbox_rows(lone.dsn)


@pytest.mark.parametrize(
    "path", ["/", "/runninghub", "/runninghub/", f"{TARGET}/", f"/runninghub/image/{TOKEN}", "/x"]
)
async def test_other_paths_are_answered_404(lone: Lone, path: str) -> None:
    assert (await post(lone.port, path)).status == 404
    assert not await inbox_rows(lone.dsn)


async def test_a_body_that_trickles_is_answered_408_and_not_kept(lone: Lone) -> None:
    head = f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode()
    async with connected(lone.port) as (reader, writer):
        writer.write(head + b"a")
        reply = await read_reply(reader)

    assert reply.status == 408
    assert reply.headers["connection"] == "close"
    assert not await inbox_rows(lone.dsn)


async def test_a_head_that_trickles_ends_with_the_connection(lone: Lone) -> None:
    async with connected(lone.port) as (reader, writer):
        writer.write(f"POST {TARGET} HTTP/1.1\r\nHost".encode())
        async with asyncio.timeout(10):
            assert await reader.read() == b""

    assert not await inbox_rows(lone.dsn)


async def test_a_sender_that_leaves_in_mid_body_leaves_nothing(
    lone: Lone, caplog: pytest.LogCaptureFixture
) -> None:
    head = f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode()
    async with connected(lone.port) as (_, writer):
        writer.write(head + b"half of it")
        await writer.drain()

    assert (await post(lone.port, TARGET, b"whole")).status == 200
    assert [row["body"] for row in await inbox_rows(lone.dsn)] == [b"whole"]
    assert caplog.messages == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST\r\n\r\n",
        b"POST /runninghub/\xff\xfe HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n".encode(),
        f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n".encode(),
        f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nA: {'a' * 20_000}\r\n\r\n".encode(),
        (
            f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            "zz\r\nhello\r\n"
        ).encode(),
    ],
    ids=["tls", "no_path", "not_ascii", "bad_length", "bad_header", "long_header", "bad_chunk"],
)
async def test_invalid_http_is_answered_400_and_harms_nobody(lone: Lone, garbage: bytes) -> None:
    assert (await exchange(lone.port, garbage)).status == 400
    assert (await post(lone.port, TARGET)).status == 200
    assert len(await inbox_rows(lone.dsn)) == 1


async def test_a_sender_that_keeps_its_connection_is_served_again(lone: Lone) -> None:
    async with connected(lone.port) as (reader, writer):
        for number in range(5):
            writer.write(http_request(TARGET, str(number).encode()))
            assert (await read_reply(reader)).status == 200

    assert [row["body"] for row in await inbox_rows(lone.dsn)] == [b"0", b"1", b"2", b"3", b"4"]


async def test_two_hundred_at_once_are_each_kept_once(lone: Lone) -> None:
    bodies = [json.dumps({"taskId": str(number)}).encode() for number in range(200)]
    replies = await asyncio.gather(*(post(lone.port, TARGET, body) for body in bodies))

    assert {reply.status for reply in replies} == {200}
    assert sorted(row["body"] for row in await inbox_rows(lone.dsn)) == sorted(bodies)


async def test_the_senders_trace_is_not_believed(lone: Lone) -> None:
    theirs = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    await exchange(lone.port, http_request(TARGET, b"x", headers=(("traceparent", theirs),)))

    (row,) = await inbox_rows(lone.dsn)
    assert "a" * 32 not in row["traceparent"]
    assert len(row["traceparent"]) == 55


async def test_health_tells_what_waits_for_whom(lone: Lone) -> None:
    await post(lone.port, TARGET)

    async def is_ready() -> bool:
        reply = await exchange(lone.port, http_request("/healthz", method="GET"))
        return reply.status == 200 and json.loads(reply.body) == {
            "ready": True,
            "waiting": {"observability": 1, "queue": 1},
        }

    await eventually(is_ready)


async def test_a_sender_that_wants_its_connection_closed_gets_it_closed(lone: Lone) -> None:
    for head in (f"POST {TARGET} HTTP/1.1\r\nConnection: close", f"POST {TARGET} HTTP/1.0"):
        async with connected(lone.port) as (reader, writer):
            writer.write(f"{head}\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
            reply = await read_reply(reader)
            assert (reply.status, reply.body) == (200, b"ok")
            assert await reader.read() == b""


async def test_pipelined_callbacks_are_answered_in_turn(lone: Lone) -> None:
    async with connected(lone.port) as (reader, writer):
        writer.write(b"".join(http_request(TARGET, bytes([65 + n])) for n in range(10)))
        replies = [await read_reply(reader) for _ in range(10)]

    assert {reply.status for reply in replies} == {200}
    assert {"date", "content-type", "content-length"} <= replies[0].headers.keys()
    assert b"".join(row["body"] for row in await inbox_rows(lone.dsn)) == b"ABCDEFGHIJ"


@pytest.mark.parametrize("token", ["q", "nineteen-characters", "a.b~c%2Fd"])
@pytest.mark.parametrize("route", ["/runninghub/", "/runninghub/video/"])
async def test_a_token_of_any_length_is_in_no_row_and_no_span(
    lone: Lone, route: str, token: str
) -> None:
    exporter = InMemorySpanExporter()
    stop = record_to(SimpleSpanProcessor(exporter), Resource.create())
    try:
        assert (await post(lone.port, f"{route}{token}")).status == 200
    finally:
        stop()

    (row,) = await inbox_rows(lone.dsn)
    assert row["target"].decode() == route + "*" * len(token)
    for span in exporter.get_finished_spans():
        assert f"/{token}" not in span.to_json()


async def test_the_span_of_a_callback_is_a_root_without_the_token(lone: Lone) -> None:
    exporter = InMemorySpanExporter()
    stop = record_to(SimpleSpanProcessor(exporter), Resource.create())
    try:
        assert (await post(lone.port, TARGET)).status == 200
    finally:
        stop()

    (span,) = (one for one in exporter.get_finished_spans() if one.kind is SpanKind.SERVER)
    assert span.name == "POST /runninghub/{token}"
    assert span.parent is None
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 200
    assert TOKEN not in span.to_json()
    (row,) = await inbox_rows(lone.dsn)
    assert row["traceparent"].split("-")[1] == f"{span.context.trace_id:032x}"
