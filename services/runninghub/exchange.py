"""The record of one outbound call: what was sent, what came back, when, and how far it got.

Nothing here is masked: the caller masks by `runtime.redact` before it stores or logs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T", covariant=True)

Headers = tuple[tuple[str, str], ...]


class Transport(StrEnum):
    """How far a call got."""

    NEVER_SENT = "never_sent"  # not one byte of the request was written: safe to repeat
    SENT_NO_REPLY = "sent_no_reply"  # may have been received; no whole reply came back
    REPLIED = "replied"


@dataclass(frozen=True, slots=True)
class MediaNote:
    """What stands in a record for the bytes of an uploaded file."""

    file_name: str
    content_type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call as it went over the wire.

    Headers are in wire order, decoded as Latin-1, which loses nothing. `request_body` is b"" for
    an upload, whose file is told by `media`. `response_status` is None without a status line;
    `response_body` then or on a broken reply is what had come so far. `latency_s` runs from
    the call to its end, queueing and connecting included. `error` says what broke, "" if nothing.
    """

    endpoint: str
    method: str
    url: str
    request_headers: Headers
    request_body: bytes
    started_at: datetime
    latency_s: float
    transport: Transport
    response_status: int | None = None
    response_headers: Headers = ()
    response_body: bytes = b""
    is_truncated: bool = False
    error: str = ""
    media: MediaNote | None = None


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """What a call gives: the record, always, and the parsed reply where a whole one came."""

    exchange: Exchange
    reply: T | None

    @property
    def transport(self) -> Transport:
        """How far the call got."""
        return self.exchange.transport
