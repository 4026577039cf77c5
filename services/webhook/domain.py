"""What a delivery is, what is kept of an oversized one, and when a refused one is tried again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

# Of a body above the size limit this much is kept, as evidence.
KEPT_OF_OVERSIZED_BYTES = 64 * 1024
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


class Peer(StrEnum):
    """Who hears of a delivery."""

    OBSERVABILITY = "observability"
    QUEUE = "queue"


class Delivery(NamedTuple):
    """One callback as it arrived. `body` is its beginning only where `is_too_large`.

    A tuple in the order of the inbox's columns, so that a batch becomes columns in one `zip`.
    """

    delivery_id: uuid.UUID
    token_hash: bytes
    target: bytes
    headers: bytes
    body: bytes
    body_bytes: int
    is_too_large: bool
    received_at: datetime
    traceparent: str

    @property
    def size_bytes(self) -> int:
        """What this delivery takes in memory and in a message, roughly."""
        return len(self.target) + len(self.headers) + len(self.body)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process forwards now. `refusals` counts earlier ones by this peer."""

    delivery: Delivery
    refusals: int


def hide_token(target: str) -> str:
    """Replace the last segment of a request target's path by stars of the same length.

    >>> hide_token("/runninghub/secret?x=1")
    '/runninghub/******?x=1'
    """
    path, mark, query = target.partition("?")
    place = path.rfind("/") + 1
    return path[:place] + "*" * (len(path) - place) + mark + query


def join_headers(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Write headers as lines, in order; neither part can hold a line break."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def split_headers(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Read what `join_headers` wrote."""
    pairs = (line.partition(b": ") for line in lines.split(b"\r\n") if line)
    return [(name, value) for name, _, value in pairs]


def pause_s(refusals: int) -> float:
    """Return how long a delivery rests that was refused so often, this time included."""
    return float(min(FIRST_PAUSE_S * 2 ** min(refusals - 1, 16), LONGEST_PAUSE_S))
