"""What strangers send to an HTTP port, and what the log says of it."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from services.runtime.http_server import HttpServer

SECRET = "tokenThatNobodyMayRead"
MALFORMED = {
    "tls": b"\x16\x03\x01\x02\x00\x01",
    "word": b"GARBAGE\r\n\r\n",
    "nul in the path": b"POST /runninghub/" + SECRET.encode() + b"\x00 HTTP/1.1\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\nHost: \xff\r\n\r\n",
    "bad header": b"GET / HTTP/1.1\r\nHost: a\r\nX y" + SECRET.encode() + b": z\r\n\r\n",
    "two lengths": b"GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n",
    "long line": b"GET /" + SECRET.encode() * 1000 + b" HTTP/1.1\r\n\r\n",
    "other version": b"GET / HTTP/9.9\r\n\r\n",
    "no url": b"GET http://[" + SECRET.encode() + b"::/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "bad chunk": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "no gzip": b"POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
}


async def answer_to(raw: bytes) -> bytes:
    """Send bytes to a server whose one handler reads the body; return the whole answer."""

    async def handle(request: web.Request) -> web.Response:
        if request.path == "/fault":
            raise LookupError("ours")
        await request.read()
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    server = HttpServer("127.0.0.1:0", app)
    port = await server.start()
    try:
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(raw)
            answer = await reader.read()
            writer.close()
            return answer
    finally:
        await server.stop(1)


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
async def test_malformed_request_is_one_short_line_without_traceback_or_secret(
    raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as lines:
        answer = await answer_to(raw)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("http_request_malformed", "info")
    assert line["remote"] == "127.0.0.1"
    assert line["error"]
    text = str(line)
    assert len(text) < 400
    assert text.isascii()
    assert text.isprintable()
    assert SECRET not in text
    assert "exc_info" not in line
    assert [record for record in caplog.records if record.levelno >= logging.INFO] == []


async def test_fault_of_ours_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with capture_logs() as lines:
        answer = await answer_to(b"GET /fault HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert lines == []
    (record,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)
