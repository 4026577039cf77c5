"""Just enough HTTP/1.1 for the benchmark's own two ends: messages cut out of a byte stream."""

from __future__ import annotations

from dataclasses import dataclass

_END = b"\r\n\r\n"


class BadMessageError(ValueError):
    """Bytes that are no HTTP/1.1 message with a Content-Length."""


@dataclass(frozen=True, slots=True)
class Message:
    """One request or response. `first` is its request or status line."""

    first: bytes
    body: bytes
    keeps_alive: bool


class Cutter:
    """Cuts whole messages out of what arrives. Bodies need a Content-Length, or none is there."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that are whole now."""
        self._buffer += data
        found = []
        while (message := self._next()) is not None:
            found.append(message)
        return found

    def _next(self) -> Message | None:
        buffer = self._buffer
        end = buffer.find(_END)
        if end < 0:
            return None
        head = bytes(buffer[:end])
        start = end + len(_END)
        stop = start + _length_of(head)
        if len(buffer) < stop:
            return None
        body = bytes(buffer[start:stop])
        del buffer[:stop]
        first = head.partition(b"\r\n")[0]
        return Message(first, body, b"connection: close" not in head.lower())


def _length_of(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at >= 0:
        return int(lower[at + 17 :].partition(b"\r\n")[0])
    if b"\r\ntransfer-encoding:" in lower:
        raise BadMessageError("chunked bodies are not spoken here")
    return 0


def response(status: bytes, body: bytes) -> bytes:
    """Return a JSON response; `status` as in b"200 OK"."""
    return (b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b") % (
        status,
        len(body),
        body,
    )


def post(host: bytes, path: bytes, body: bytes) -> bytes:
    """Return a JSON POST request."""
    return (
        b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n"
        b"User-Agent: bench-provider\r\nContent-Length: %d\r\n\r\n%b"
    ) % (path, host, len(body), body)
