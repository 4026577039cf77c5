"""The gateway's replies. The one of the hot path is serialised once, not for each callback."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

_KEPT = "HTTP/1.1 200 OK\r\nDate: {}\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
_TEXTS: Mapping[int, str] = {
    400: "the request's body broke off or is not framed as HTTP wants it",
    408: "the request's body did not arrive in time",
    413: "the request's body is larger than this gateway accepts",
    503: "nothing can be stored at the moment; send it again soon",
}
RETRY_AFTER_S = 5


class _Clock:
    """The 200 of this second."""

    second = 0
    kept = b""


def kept_reply() -> bytes:
    """Return the whole reply to a callback that is kept, for a connection that goes on."""
    second = int(time.time())
    if second != _Clock.second:
        _Clock.kept = _KEPT.format(formatdate(second, usegmt=True)).encode()
        _Clock.second = second
    return _Clock.kept


def refused_reply(status: int) -> bytes:
    """Return the whole reply to a callback that is not kept, for a connection that ends."""
    text = _TEXTS[status]
    again = f"Retry-After: {RETRY_AFTER_S}\r\n" if status == 503 else ""
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nDate: {formatdate(usegmt=True)}\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(text)}\r\n{again}"
        "Connection: close\r\n\r\n"
    )
    return (head + text).encode()


class _Kept(web.Response):
    """A 200 that knows nothing of its request, so that one object answers all of them.

    Building a response anew costs a sixth of the gateway's work on a callback.
    """

    @property
    def keep_alive(self) -> bool | None:
        """Keep the connection; who wants it closed is not answered by this object."""
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write the whole reply."""
        if request.transport is None:
            raise ConnectionResetError
        request.transport.write(kept_reply())
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: all is written."""


_KEPT_REPLY = _Kept()


def reply_to(request: web.Request, status: int) -> web.Response:
    """Return the reply of a status; all but 200 end the connection."""
    if status == 200:
        if request.keep_alive and request.version == HttpVersion11:
            return _KEPT_REPLY
        return web.Response(text="ok")
    response = web.Response(status=status, text=_TEXTS[status])
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    response.force_close()
    return response
