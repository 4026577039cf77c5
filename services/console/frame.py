"""Server-sent events as bytes, made once for all browsers that are told the same."""

from __future__ import annotations

import json
from typing import NamedTuple

from services.console.changes import Flush

RECONNECT_MS = 1000


class Frame(NamedTuple):
    """Events as HTTP/1.1 sends them, in a chunk, and as HTTP/1.0 does (some proxies speak it)."""

    chunk: bytes
    bare: bytes


def frame_of(text: str) -> Frame:
    """Return events as bytes."""
    bare = text.encode()
    return Frame(b"%x\r\n%b\r\n" % (len(bare), bare), bare)


HELLO = f"event: hello\nretry: {RECONNECT_MS}\ndata: {{}}\n\n"
# A comment: it keeps the connection open on its way, and finds out whether it is.
PING = frame_of(": ping\n\n")


def told(flush: Flush) -> str:
    """Return what is to be told as events: the state, that all is to be read anew, the jobs."""
    place = f"id: {flush.event_id}\n" if flush.event_id else ""
    text = ""
    if flush.state:
        text += f"event: state\ndata: {json.dumps({'state': flush.state})}\n\n"
    if flush.is_lost:
        text += f"{place}event: refresh\ndata: {{}}\n\n"
    if flush.jobs:
        text += f"{place}event: changed\ndata: {json.dumps({'jobs': dict(flush.jobs)})}\n\n"
    return text
