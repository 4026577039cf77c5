"""Recognises a callback in its plain form at the beginning of what a connection has received.

This is no parser of HTTP. It knows one form of a request, so narrow that every parser reads it
alike: a POST to a callback route in HTTP/1.1, no header twice, one Host, one Content-Length, none
that changes how the connection or the body is read. Whatever differs is not judged here; it is
left to aiohttp with every byte untouched.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Of request line and headers together; aiohttp allows one line as much.
MAX_HEAD_BYTES = 8190
# A larger body is read piece by piece instead of being gathered in front.
MAX_BODY_BYTES = 64 * 1024

_START = b"POST /runninghub/"
# A token of ours is 43 characters that no URL escapes. One space behind a name and none at the
# ends of a value: then the lines are to the byte what `join_headers` would write.
_HEAD = re.compile(
    rb"POST (/runninghub/(?:video/)?)([A-Za-z0-9_-]{1,256}) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]++: (?![\t ])[\t\x20-\x7e\x80-\xff]*+(?<![\t ])\r\n){2,64})"
)
_NAMES = re.compile(rb"(?m)^[^:]++")
_LENGTH = re.compile(rb"(?m)^content-length: ([0-9]{1,7})\r$")
_KEPT = re.compile(rb"(?m)^connection: keep-alive\r$")
# These change what the rest of the connection means, or ask for something first.
_NOT_PLAIN = frozenset({b"expect", b"te", b"trailer", b"transfer-encoding", b"upgrade"})
_NEEDED = frozenset({b"content-length", b"host"})


class Plain(NamedTuple):
    """One whole request; the next one begins at `end`. `headers` are lines ended by CRLF."""

    route: bytes
    token: bytes
    headers: bytes
    body: bytes
    end: int


def cut(data: bytes, max_body_bytes: int) -> Plain | int:
    """Return the callback at the beginning of `data`, or how long `data` must at least become.

    0 stands for anything but a plain callback. `data` is not empty.
    """
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
    if end < 0:
        begins_well = _START.startswith(data[: len(_START)])
        return len(data) + 1 if begins_well and len(data) < MAX_HEAD_BYTES else 0
    head = _HEAD.fullmatch(data, 0, end + 2)
    if head is None:
        return 0
    route, token, headers = head.groups()
    size = _body_bytes(headers.lower())
    if size is None or size > max_body_bytes:
        return 0
    start = end + 4
    stop = start + size
    return stop if len(data) < stop else Plain(route, token, headers, data[start:stop], stop)


def _body_bytes(headers: bytes) -> int | None:
    """Return the length that plain headers, in lower case, declare; None where they are not."""
    names = _NAMES.findall(headers)
    unique = set(names)
    if len(unique) < len(names) or not unique >= _NEEDED or not unique.isdisjoint(_NOT_PLAIN):
        return None
    if b"connection" in unique and not _KEPT.search(headers):
        return None
    length = _LENGTH.search(headers)
    return int(length[1]) if length else None
