"""Identifiers: made as time-ordered UUIDs and unguessable tokens, and read from callers."""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid

import uuid_utils.compat

from services.runtime.errors import InvalidInputError

_AN_ID = "01a20d13-52b1-7c3e-9f00-5b6c7d8e9f00"
# Stricter than uuid.UUID, which takes braces, a URN, underscores, and hyphens anywhere.
_ID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}(\1[0-9a-f]{4}){2}\1[0-9a-f]{12}", re.I | re.A)


class InvalidIdError(InvalidInputError):
    """A text that can't be an id. A well-formed id of nothing is a `NotFoundError` instead."""

    reason = "INVALID_ID"

    def __init__(self, field: str, value: str) -> None:
        shown = value[:80]
        super().__init__(
            f"{field}={shown!r} is no id of Etapa: an id looks like {_AN_ID}; `find` takes any "
            "other",
            field,
            {
                "value": shown,
                "message_pt": f"{field}={shown!r} não é um id do Etapa: um id tem a forma "
                f"{_AN_ID}; `find` aceita qualquer outro",
            },
        )


def read_id(field: str, value: str) -> uuid.UUID:
    """Return an id that a caller gave in `field`, in any case, with or without its hyphens.

    Raises `InvalidIdError`. Every edge reads ids by this, so that all answer alike.
    """
    if not _ID.fullmatch(value):
        raise InvalidIdError(field, value)
    return uuid.UUID(value)


def new_id() -> uuid.UUID:
    """Return a UUIDv7: its order is time, so one job's rows lie together on disk."""
    return uuid_utils.compat.uuid7()


def new_token() -> str:
    """Return 256 random bits as 43 URL-safe characters. Only its hash is ever stored."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """Return the SHA-256 (32 bytes) by which a token is known to the database."""
    # What comes out of a URL may hold lone surrogates, which plain UTF-8 refuses.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
