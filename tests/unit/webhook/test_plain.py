"""A plain callback is cut out to the byte; whatever any parser might read otherwise is left."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser, RawRequestMessage
from hypothesis import given
from hypothesis import strategies as st

from services.webhook.domain import join_headers
from services.webhook.plain import MAX_BODY_BYTES, MAX_HEAD_BYTES, Plain, cut

TOKEN = "k3eWq0hY-tokenOfAnAttempt_0123456789abcdefgh"
LINE = f"POST /runninghub/{TOKEN} HTTP/1.1\r\n"
HOST = "Host: gateway.example\r\n"


def a_request(
    headers: str = HOST + "Content-Length: 2\r\n", line: str = LINE, body: str = "{}"
) -> bytes:
    """Write a request that is plain unless a part says otherwise."""
    return (line + headers + "\r\n" + body).encode("latin-1")


def test_a_plain_callback_is_cut_out_and_the_rest_left() -> None:
    found = cut(a_request() + b"POST /next", MAX_BODY_BYTES)

    assert isinstance(found, Plain)
    assert found.token.decode() == TOKEN
    assert (found.route, found.body) == (b"/runninghub/", b"{}")
    assert found.headers == (HOST + "Content-Length: 2\r\n").encode()
    assert found.end == len(a_request())


@pytest.mark.parametrize(
    "more",
    [
        "Connection: keep-alive\r\n",
        "CONNECTION: Keep-Alive\r\n",
        "Content-Type: application/json; charset=utf-8\r\n",
        "X-Name: Jos\xe9\r\n",
        "Content-Encoding: gzip\r\n",
        "X-Mentions: content-length: 7\r\n",
    ],
)
def test_what_changes_no_framing_is_plain(more: str) -> None:
    headers = HOST + more + "content-length: 2\r\n"
    found = cut(a_request(headers), MAX_BODY_BYTES)

    assert isinstance(found, Plain)
    assert found.headers == headers.encode("latin-1")


@pytest.mark.parametrize("size", [1, 7, len(LINE), len(a_request()) - 2, len(a_request()) - 1])
def test_a_part_of_a_plain_callback_is_waited_for(size: int) -> None:
    found = cut(a_request()[:size], MAX_BODY_BYTES)

    assert isinstance(found, int)
    assert size < found <= len(a_request())


@pytest.mark.parametrize(
    "request_",
    [
        a_request(line=f"GET /runninghub/{TOKEN} HTTP/1.1\r\n"),
        a_request(line=f"post /runninghub/{TOKEN} HTTP/1.1\r\n"),
        a_request(line=f"POST /runninghub/{TOKEN} HTTP/1.0\r\n"),
        a_request(line=f"POST  /runninghub/{TOKEN} HTTP/1.1\r\n"),
        a_request(line=f"POST /runninghub/{TOKEN} HTTP/1.1\n"),
        a_request(line=f"POST /runninghub/{TOKEN}?a=b HTTP/1.1\r\n"),
        a_request(line=f"POST /runninghub/{TOKEN}/ HTTP/1.1\r\n"),
        a_request(line=f"POST /runninghub/image/{TOKEN} HTTP/1.1\r\n"),
        a_request(line=f"POST http://x/runninghub/{TOKEN} HTTP/1.1\r\n"),
        a_request(line="POST /runninghub/a%2Fb HTTP/1.1\r\n"),
        a_request(line="POST /runninghub/ HTTP/1.1\r\n"),
        a_request(line="POST /healthz HTTP/1.1\r\n"),
        a_request(HOST),
        a_request("Content-Length: 2\r\n"),
        a_request(HOST + HOST + "Content-Length: 2\r\n"),
        a_request(HOST + "Content-Length: 2\r\nContent-Length: 2\r\n"),
        a_request(HOST + "Content-Length: 2\r\nCONTENT-LENGTH: 7\r\n"),
        a_request(HOST + "Content-Length: +2\r\n"),
        a_request(HOST + "Content-Length: 2, 2\r\n"),
        a_request(HOST + "Content-Length: \xb2\r\n"),
        a_request(HOST + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"),
        a_request(HOST + "Content-Length: 2\r\nTransfer-Encoding : chunked\r\n"),
        a_request(HOST + "Content-Length: 2\r\nExpect: 100-continue\r\n"),
        a_request(HOST + "Content-Length: 2\r\nUpgrade: h2c\r\n"),
        a_request(HOST + "Content-Length: 2\r\nTrailer: x\r\n"),
        a_request(HOST + "Content-Length: 2\r\nConnection: close\r\n"),
        a_request(HOST + "Content-Length: 2\r\nConnection: keep-alive, upgrade\r\n"),
        a_request(HOST + "Content-Length: 2\r\nX: a\r\n folded\r\n"),
        a_request(HOST + "Content-Length: 2\r\nX:a\r\n"),
        a_request(HOST + "Content-Length: 2\r\nX: \r\n"),
        a_request(HOST + "Content-Length: 2\r\nX: a \r\n"),
        a_request(HOST + "Content-Length: 2\r\nX: a\x00b\r\n"),
        a_request(HOST + "Content-Length: 2\r\nX: a\rb\r\n"),
        a_request(HOST + "Content-Length: 2\r\nX: a\nb\r\n"),
        a_request(HOST + "Content-Length: 2\r\nno colon here\r\n"),
        a_request(HOST + "Content-Length: 2\r\n: nameless\r\n"),
        a_request(HOST + f"Content-Length: {MAX_BODY_BYTES + 1}\r\n"),
        a_request(HOST + "".join(f"X-{n}: a\r\n" for n in range(100)) + "Content-Length: 2\r\n"),
        b"\r\n" + a_request(),
        LINE.encode() + b"X: " + b"a" * MAX_HEAD_BYTES,
        b"\x16\x03\x01\x02\x00",
        b"POST /media/",
    ],
    ids=lambda raw: repr(raw[:90])[2:-1],
)
def test_anything_else_is_left_to_the_parser(request_: bytes) -> None:
    assert cut(request_, MAX_BODY_BYTES) == 0


_NAMES = ["Host", "Content-Length", "connection", "X-A", "x-a", "Expect", "Transfer-Encoding"]
_NAMES += ["Content-Type", "TE", "Upgrade", "Server", "User-Agent", "Content-Length ", "X:Y"]
_VALUES = ["2", "02", "2 ", "a", "chunked", "close", "keep-alive", "", "\xe9", "a\tb"]
_LINES = st.lists(
    st.tuples(
        st.sampled_from(_NAMES),
        st.sampled_from([": ", ":", ":  ", " : "]),
        st.sampled_from(_VALUES),
        st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r"]),
    ),
    max_size=5,
)


@given(_LINES)
def test_what_is_cut_out_is_what_the_parser_reads(lines: list[tuple[str, ...]]) -> None:
    headers = HOST + "Content-Length: 2\r\n" + "".join("".join(line) for line in lines)
    data = a_request(headers)
    found = cut(data, MAX_BODY_BYTES)
    if not isinstance(found, Plain):
        return

    message, body = asyncio.run(_parsed(data))
    assert join_headers(message.raw_headers) == found.headers
    assert message.method == "POST"
    assert message.path.encode() == found.route + found.token
    assert not any((message.chunked, message.upgrade, message.should_close))
    assert body == found.body


async def _parsed(data: bytes) -> tuple[RawRequestMessage, bytes]:
    loop = asyncio.get_running_loop()
    parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16)
    ((message, payload),), _, rest = parser.feed_data(data)
    assert not rest
    return message, payload.read_nowait()
