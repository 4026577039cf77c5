"""Checks of what callers send: each refusal names its field and says what is allowed."""

from __future__ import annotations

from uuid import UUID

from services.queue.domain import BadRequestError
from services.runtime.ids import read_id

MAX_NAME = 128


def text(field: str, value: str, most: int, *, least: int = 0) -> str:
    """Return a text of `least` to `most` characters that Postgres can hold."""
    if not least <= len(value) <= most:
        wanted = f"{least} to {most} characters" if least else f"at most {most} characters"
        raise BadRequestError(f"{field} has {len(value)} characters; it takes {wanted}", field)
    if "\x00" in value:
        raise BadRequestError(f"{field} holds a NUL character, which no text may", field)
    return value


def whole(field: str, value: int, low: int, high: int) -> int:
    """Return a whole number within `low` to `high`, both included."""
    if not low <= value <= high:
        raise BadRequestError(f"{field}={value} is not within {low} and {high}", field)
    return value


def job_id(value: str) -> UUID:
    """Return a job id. Raises `InvalidIdError`."""
    return read_id("job_id", value)


def digest(field: str, value: str) -> str:
    """Return a SHA-256 as 64 lower-case hex digits."""
    if len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise BadRequestError(f"{field} is not 64 lower-case hex digits", field)
    return value


def sha256(field: str, value: bytes) -> bytes:
    """Return a SHA-256 as 32 bytes."""
    if len(value) != 32:
        raise BadRequestError(f"{field} has {len(value)} bytes, not the 32 of a SHA-256", field)
    return value
