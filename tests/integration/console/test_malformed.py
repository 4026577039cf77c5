"""Requests that no browser makes: told as the sender's mistake, and no traceback in the log."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs
from yarl import URL

from tests.support.console_app import Browser

FORM = b"Content-Type: application/x-www-form-urlencoded"
PARTS = b"Content-Type: multipart/form-data"
CASES = {
    "charset that is none": (b"/user", FORM + b"; charset=nope", b"user=ana"),
    "no utf-8": (b"/user", FORM, b"user=\xff\xfe"),
    "chunk that is none": (b"/user", FORM + b"\r\nTransfer-Encoding: chunked", b"zz\r\n\r\n"),
    "no boundary": (b"/user", PARTS, b"x"),
    "upload without a boundary": (b"/tools/upscaler/jobs", PARTS, b"x"),
    "upload of no parts": (b"/tools/upscaler/jobs", PARTS + b"; boundary=a", b"garbage\r\n"),
    "upload of bad chunks": (
        b"/tools/upscaler/jobs",
        PARTS + b"; boundary=a\r\nTransfer-Encoding: chunked",
        b"zz\r\n\r\n",
    ),
    "part in no charset": (
        b"/user",
        PARTS + b"; boundary=a",
        b'--a\r\nContent-Disposition: form-data; name="user"\r\n'
        b"Content-Type: text/plain; charset=nope\r\n\r\nana\r\n--a--\r\n",
    ),
    "origin that is none": (b"/user", FORM + b"\r\nOrigin: http://[", b"user=ana"),
}


@pytest.mark.parametrize("with_token", [True, False])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_unreadable_form_is_refused_without_a_traceback(
    console: Browser,
    case: tuple[bytes, bytes, bytes],
    with_token: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await console.visit()
    path, headers, body = case
    head = [b"POST " + path + b" HTTP/1.1", b"Host: localhost", b"Connection: close", headers]
    if b"chunked" not in headers:
        head.append(b"Content-Length: %d" % len(body))
    if with_token:
        cookies = console.session.cookie_jar.filter_cookies(URL(console.base))
        pairs = "; ".join(f"{cookie.key}={cookie.value}" for cookie in cookies.values())
        head += [f"X-CSRF-Token: {console.token}".encode(), f"Cookie: {pairs}".encode()]
    with capture_logs() as lines:
        status = await status_of(console.server.port, b"\r\n".join(head) + b"\r\n\r\n" + body)
    assert 400 <= status < 500 or (with_token and status == 303)
    assert [line for line in lines if line["log_level"] == "error"] == []
    assert [record for record in caplog.records if record.exc_info] == []


async def status_of(port: int, raw: bytes) -> int:
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(raw)
        line = await reader.readline()
        writer.close()
    return int(line.split()[1])
