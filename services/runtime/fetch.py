"""Fetches a file from a URL that came from outside, within limits of size and time.

Which addresses may be dialled is the business of the session's connector (`runtime.net`); here
each redirect is followed by hand, so that each hop can choose its session anew.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final

import aiohttp
from yarl import URL

from services.runtime.errors import InvalidInputError

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({408, 425, 429})
_WRITE_BYTES: Final = 1024 * 1024
_SHOWN_CHARS: Final = 100
# The body is wanted as it is; a compressed one could unfold beyond what was announced.
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "etapa"}

SessionOf = Callable[[URL], aiohttp.ClientSession]


class FetchFailure(StrEnum):
    """Why a file could not be fetched."""

    BAD_URL = "bad_url"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    STATUS = "status"  # an HTTP status other than 200
    TOO_BIG = "too_big"
    CUT = "cut"  # the connection ended before the file did
    REDIRECTS = "redirects"


class FetchError(InvalidInputError):
    """The file could not be fetched. `failure` says why; `status` is the HTTP status, if any."""

    reason = "FETCH_FAILED"

    def __init__(self, failure: FetchFailure, message: str, status: int | None = None) -> None:
        facts = {"failure": failure.value, **({"http_status": str(status)} if status else {})}
        super().__init__(message, facts=facts)
        self.failure = failure
        self.status = status

    @property
    def is_lasting(self) -> bool:
        """Whether the same fetch would fail again, so that repeating it is of no use."""
        if self.failure is FetchFailure.STATUS:
            return self.status not in _PASSING and (self.status or 0) < 500
        return self.failure in (FetchFailure.BAD_URL, FetchFailure.TOO_BIG, FetchFailure.REDIRECTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """Bounds of one fetch; `total_timeout_s` covers redirects, transfer and what reads it."""

    max_bytes: int
    connect_timeout_s: float = 10.0
    total_timeout_s: float = 120.0
    max_redirects: int = 3


@dataclass(frozen=True, slots=True)
class Incoming:
    """An open transfer. `content_type` is the sender's claim, `size_bytes` its announcement."""

    url: str
    content_type: str
    size_bytes: int | None
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that was written whole."""

    url: str
    content_type: str
    size_bytes: int
    sha256: str


@asynccontextmanager
async def open_url(url: str, session_of: SessionOf, limits: FetchLimits) -> AsyncIterator[Incoming]:
    """Open a GET and yield the transfer; `session_of` gives the session for each hop.

    Raises `FetchError`, or `ForbiddenAddressError` from the session's connector.
    """
    try:
        async with asyncio.timeout(limits.total_timeout_s) as deadline:
            response = await _follow(_checked_url(url), session_of, limits)
            try:
                yield _incoming(response, limits)
            finally:
                response.close()
    except TimeoutError as error:
        if not deadline.expired():
            raise
        message = f"the file did not arrive within {limits.total_timeout_s:g} s"
        raise FetchError(FetchFailure.TIMED_OUT, message) from error


async def fetch_file(url: str, path: Path, session_of: SessionOf, limits: FetchLimits) -> Fetched:
    """Write the file behind a URL to `path`. On an error the partial file is removed."""
    digest = hashlib.sha256()
    size = 0
    try:
        async with open_url(url, session_of, limits) as incoming:
            with _create(path) as file:
                async for block in _blocks(incoming.chunks):
                    size += len(block)
                    digest.update(block)
                    await asyncio.to_thread(file.write, block)
            return Fetched(incoming.url, incoming.content_type, size, digest.hexdigest())
    except BaseException:
        _remove(path)
        raise


async def _follow(url: URL, session_of: SessionOf, limits: FetchLimits) -> aiohttp.ClientResponse:
    for _hop in range(limits.max_redirects + 1):
        response = await _get(url, session_of(url), limits)
        location = response.headers.get("Location", "")
        if response.status == 200:
            return response
        response.close()
        if response.status not in _REDIRECTS or not location:
            message = f"{url.host} answered HTTP {response.status}"
            raise FetchError(FetchFailure.STATUS, message, response.status)
        url = _checked_url(location, base=url)
    message = f"more than {limits.max_redirects} redirects"
    raise FetchError(FetchFailure.REDIRECTS, message)


async def _get(
    url: URL, session: aiohttp.ClientSession, limits: FetchLimits
) -> aiohttp.ClientResponse:
    timeout = aiohttp.ClientTimeout(
        total=None, connect=limits.connect_timeout_s, sock_connect=limits.connect_timeout_s
    )
    try:
        return await session.get(url, headers=_HEADERS, allow_redirects=False, timeout=timeout)
    except (aiohttp.InvalidURL, UnicodeError) as error:  # the latter from a label that is too long
        raise FetchError(FetchFailure.BAD_URL, f"{_shown(url)} is no valid host") from error
    except (aiohttp.ClientError, OSError) as error:
        if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
            raise
        message = f"{url.host} could not be reached: {error}"
        raise FetchError(FetchFailure.UNREACHABLE, message) from error


def _incoming(response: aiohttp.ClientResponse, limits: FetchLimits) -> Incoming:
    size = response.content_length
    if size is not None and size > limits.max_bytes:
        raise _too_big(limits)
    return Incoming(
        url=str(response.url),
        content_type=response.content_type,
        size_bytes=size,
        chunks=_chunks(response, limits),
    )


async def _chunks(response: aiohttp.ClientResponse, limits: FetchLimits) -> AsyncIterator[bytes]:
    size = 0
    try:
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > limits.max_bytes:
                raise _too_big(limits)
            yield chunk
    except aiohttp.ClientError as error:
        message = f"the transfer broke off after {size} bytes"
        raise FetchError(FetchFailure.CUT, message) from error


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join small chunks, so that a file costs few hops to the writing thread."""
    block = bytearray()
    async for chunk in chunks:
        block += chunk
        if len(block) >= _WRITE_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def _checked_url(text: str, base: URL | None = None) -> URL:
    try:
        url = base.join(URL(text)) if base is not None else URL(text)
        usable = url.scheme in ("http", "https") and bool(url.host) and not url.user
    except ValueError as error:
        raise FetchError(FetchFailure.BAD_URL, f"this is no URL: {error}") from error
    if any(ord(letter) < ord(" ") or letter == "\x7f" for letter in text):
        raise FetchError(FetchFailure.BAD_URL, "the URL holds a character that none may hold")
    if not usable:
        message = "only http and https URLs with a host and without a user name are fetched"
        raise FetchError(FetchFailure.BAD_URL, message)
    return url


def _shown(url: URL) -> str:
    """Return the host as a sentence can hold it."""
    host = url.host or ""
    return host if len(host) <= _SHOWN_CHARS else host[:_SHOWN_CHARS] + "…"


def _create(path: Path) -> BinaryIO:
    """Open the file without awaiting: a thread would leak it when the task is cancelled."""
    return path.open("wb")


def _remove(path: Path) -> None:
    """Remove a partial file without awaiting, for the task may just have been cancelled."""
    path.unlink(missing_ok=True)


def _too_big(limits: FetchLimits) -> FetchError:
    message = f"the file is larger than the limit of {limits.max_bytes} bytes"
    return FetchError(FetchFailure.TOO_BIG, message)
