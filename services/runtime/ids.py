"""Identifiers made in Python: time-ordered UUIDs and unguessable tokens."""

from __future__ import annotations

import hashlib
import secrets
import uuid

import uuid_utils.compat


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
