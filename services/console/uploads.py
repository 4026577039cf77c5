"""Reads a posted form with files: each file goes to disk as it comes, never whole into memory."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import BodyPartReader, web

from etapa_client.upload import Upload
from etapa_client.words import Language, size
from services.console.errors import BadFormError, CsrfRefusedError, UploadTooLargeError
from services.console.fields import UNREADABLE
from services.console.security import CSRF_IN_BODY
from services.console.who import CSRF_FIELD, is_ours, language_of

CHUNK_BYTES = 256 * 1024
MAX_FIELD_BYTES = 64 * 1024
MAX_PARTS = 200


@dataclass
class Posted:
    """The fields of a form, and its files by field name."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)


@asynccontextmanager
async def posted_form(request: web.Request, max_bytes: int) -> AsyncIterator[Posted]:
    """Yield the form; its files are gone afterwards.

    Raises UploadTooLargeError, BadFormError, and CsrfRefusedError where the token is in the form
    and does not come before the first file.
    """
    if request.content_type != "multipart/form-data":
        raise BadFormError("this form is sent as multipart/form-data")
    if (request.content_length or 0) > max_bytes:
        raise UploadTooLargeError(limit=_limit(request, max_bytes))
    folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="etapa-console-")
    try:
        yield await _Reader(request, Path(folder.name), max_bytes).read()
    finally:
        await asyncio.to_thread(folder.cleanup)


class _Reader:
    def __init__(self, request: web.Request, folder: Path, max_bytes: int) -> None:
        self._request = request
        self._folder = folder
        self._max_bytes = max_bytes
        self._bytes = 0
        self._trusted = not request.get(CSRF_IN_BODY, False)
        self._posted = Posted()

    async def read(self) -> Posted:
        parts = 0
        try:
            async for part in await self._request.multipart():
                parts += 1
                if parts > MAX_PARTS or not isinstance(part, BodyPartReader) or not part.name:
                    raise BadFormError("a part without a name, or too many of them")
                await self._take(part.name, part)
        except UNREADABLE as error:
            raise BadFormError(f"the form cannot be read: {type(error).__name__}") from error
        if not self._trusted:
            raise CsrfRefusedError("no token")
        return self._posted

    async def _take(self, name: str, part: BodyPartReader) -> None:
        if part.filename is None:
            text = (await self._limited(part)).decode("utf-8", "replace")
            self._posted.fields[name] = text
            self._trusted = self._trusted or (name == CSRF_FIELD and is_ours(self._request, text))
            return
        if not self._trusted:
            raise CsrfRefusedError("no token")
        path = self._folder / str(len(self._posted.files))
        await self._save(part, path)
        if part.filename:  # a browser sends an empty name where no file was chosen
            self._posted.files[name] = Upload(path, Path(part.filename).name[:200])

    async def _limited(self, part: BodyPartReader) -> bytes:
        found = bytearray()
        while chunk := await part.read_chunk(CHUNK_BYTES):
            found += chunk
            if len(found) > MAX_FIELD_BYTES:
                raise BadFormError("a field is too long")
        return bytes(found)

    async def _save(self, part: BodyPartReader, path: Path) -> None:
        with await asyncio.to_thread(path.open, "wb") as file:
            while chunk := await part.read_chunk(CHUNK_BYTES):
                self._bytes += len(chunk)
                if self._bytes > self._max_bytes:
                    raise UploadTooLargeError(limit=_limit(self._request, self._max_bytes))
                await asyncio.to_thread(file.write, chunk)


def _limit(request: web.Request, max_bytes: int) -> str:
    language: Language = language_of(request)
    return size(max_bytes, language)
