"""Pages of lists: a token is opaque and bound to the filters that it was made for."""

from __future__ import annotations

import base64
import hashlib
from uuid import UUID

from services.runtime.errors import InvalidInputError

# No UUIDv7 of this universe is above it.
NEWEST = UUID("ffffffff-ffff-ffff-ffff-ffffffffffff")
_DIGEST_BYTES = 8


class BadPageTokenError(InvalidInputError):
    """A page token that is not ours, or belongs to other filters."""

    reason = "INVALID_PAGE_TOKEN"

    def __init__(self) -> None:
        super().__init__(
            "page_token is not from a page of these filters: start without one", "page_token"
        )


def page_size(asked: int, default: int, highest: int) -> int:
    """Return how many entries a page has; 0 means the default."""
    if not 0 <= asked <= highest:
        raise InvalidInputError(f"page_size={asked} is not within 1 and {highest}", "page_size")
    return asked or default


def make_token(last: UUID, filters: object) -> str:
    """Return the token of the page after `last`. `filters` must have a stable repr."""
    return base64.urlsafe_b64encode(_digest(filters) + last.bytes).decode()


def read_token(token: str, filters: object) -> UUID:
    """Return the id that the page's entries are below. Raises `BadPageTokenError`."""
    if not token:
        return NEWEST
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except ValueError as error:
        raise BadPageTokenError from error
    if len(raw) != _DIGEST_BYTES + 16 or raw[:_DIGEST_BYTES] != _digest(filters):
        raise BadPageTokenError
    return UUID(bytes=raw[_DIGEST_BYTES:])


def _digest(filters: object) -> bytes:
    return hashlib.sha256(repr(filters).encode()).digest()[:_DIGEST_BYTES]
