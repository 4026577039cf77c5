"""The blob store: media, outputs and large payload bodies, by the SHA-256 of their bytes.

A folder by default, an S3-like store by configuration (`s3://bucket/prefix`, credentials by the
AWS_* variables that obstore reads). What was put is never changed, so a put may be repeated.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.exceptions import NotFoundError as _MissingError
from obstore.store import LocalStore, S3Store

from services.runtime.errors import NotFoundError, UnavailableError

CHUNK_BYTES = 256 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


class BlobNotFoundError(NotFoundError):
    """No blob of that digest is kept: erased, expired, or never put."""

    reason = "BLOB_NOT_FOUND"

    def __init__(self, sha256: str) -> None:
        super().__init__(f"no file with sha256 {sha256} is kept", {"sha256": sha256})


@dataclass(frozen=True, slots=True)
class Blob:
    """What a put returns: the digest (64 hex digits) and the size in bytes."""

    sha256: str
    bytes: int


class BlobStore:
    """One place for bytes. Open it with a folder or an `s3://bucket/prefix` URL."""

    def __init__(self, place: str) -> None:
        self._folder: Path | None = None
        if place.startswith("s3://"):
            bucket, _, prefix = place.removeprefix("s3://").partition("/")
            self._store: LocalStore | S3Store = S3Store(bucket, prefix=prefix or None)
        else:
            self._folder = Path(place.removeprefix("file://")).resolve()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._store = LocalStore(str(self._folder))

    async def put(self, data: bytes) -> Blob:
        """Keep bytes durably. Idempotent."""
        sha256 = hashlib.sha256(data).hexdigest()
        await self._put(sha256, data)
        return Blob(sha256, len(data))

    async def put_file(self, path: Path, sha256: str = "") -> Blob:
        """Keep the content of a file durably, streaming it. Idempotent.

        `sha256` is believed: give it only where it was computed while the file was written.
        """
        blob = await asyncio.to_thread(_describe, path, sha256)
        await self._put(blob.sha256, path)
        return blob

    async def get(self, sha256: str) -> bytes:
        """Return all bytes of a blob. Raises `BlobNotFoundError`."""
        try:
            result = await obstore.get_async(self._store, _key(sha256))
            return bytes(await result.bytes_async())
        except (_MissingError, FileNotFoundError) as error:
            raise BlobNotFoundError(sha256) from error
        except BaseError as error:
            raise _away(error) from error

    async def size(self, sha256: str) -> int | None:
        """Return the size in bytes, or None where no such blob is kept."""
        try:
            return int((await obstore.head_async(self._store, _key(sha256)))["size"])
        except (_MissingError, FileNotFoundError):
            return None
        except BaseError as error:
            raise _away(error) from error

    async def stream(
        self, sha256: str, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `end` (exclusive) in pieces of some 256 KiB.

        Raises `BlobNotFoundError`, and `UnavailableError`, between any two pieces.
        """
        size = await self.size(sha256)
        if size is None:
            raise BlobNotFoundError(sha256)
        end = size if end is None else min(end, size)
        while start < end:
            stop = min(start + CHUNK_BYTES, end)
            yield await self._piece(sha256, start, stop)
            start = stop

    async def _piece(self, sha256: str, start: int, stop: int) -> bytes:
        key = _key(sha256)
        try:
            return bytes(await obstore.get_range_async(self._store, key, start=start, end=stop))
        except (_MissingError, FileNotFoundError) as error:
            raise BlobNotFoundError(sha256) from error
        except BaseError as error:
            raise _away(error) from error

    async def _put(self, sha256: str, data: bytes | Path) -> None:
        if await self.size(sha256) is not None:
            return
        try:
            await obstore.put_async(self._store, _key(sha256), data)
        except BaseError as error:
            raise _away(error) from error
        if self._folder is not None:
            await asyncio.to_thread(_sync, self._folder / _key(sha256))


def _key(sha256: str) -> str:
    if not _SHA256.fullmatch(sha256):
        raise BlobNotFoundError(sha256[:80])
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


def _describe(path: Path, sha256: str) -> Blob:
    size = path.stat().st_size
    if sha256:
        return Blob(sha256, size)
    with path.open("rb") as file:
        return Blob(hashlib.file_digest(file, "sha256").hexdigest(), size)


def _sync(path: Path) -> None:
    # obstore renames a finished file into place but leaves its bytes in the page cache.
    for target in (path, path.parent, path.parent.parent):
        handle = os.open(target, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _away(error: Exception) -> UnavailableError:
    return UnavailableError(f"the blob store can't be reached: {type(error).__name__}")
