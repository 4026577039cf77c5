"""Reads a provider call out of an HTTP request, as tolerantly as the provider does.

The key may come as Bearer, as `apiKey` or `apikey` in the body, form or query. `Host`, content
types and unknown fields are ignored: public clients send whatever they like.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

_CHUNK = 256 * 1024


@dataclass(slots=True)
class FilePart:
    """The file of an upload. `is_too_big` means that `data` is only its beginning."""

    name: str
    data: bytes
    is_too_big: bool


@dataclass(slots=True)
class Call:
    """One request. `number` is the journal's for starts; `file` is set for uploads."""

    request: web.Request
    point: str
    generation: str
    key: str
    body: dict[str, Any] = field(default_factory=dict)
    file: FilePart | None = None
    number: int = 0
    is_readable: bool = True

    def text(self, name: str) -> str:
        """Return a field of the body, or of the path or query, as text."""
        request = self.request
        value = self.body.get(name, request.match_info.get(name, request.query.get(name)))
        return "" if value is None else str(value)


async def read_call(request: web.Request, point: str, generation: str, limit: int) -> Call:
    """Read the whole request; a body that cannot be understood is marked, not refused."""
    call = Call(request, point, generation, key="")
    if request.method == "POST":
        if point == "upload":
            await _read_form(call, limit)
        else:
            _read_json(call, await request.read())
    call.key = _key(call)
    return call


def _read_json(call: Call, raw: bytes) -> None:
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        body = None
    call.is_readable = isinstance(body, dict)
    call.body = body if isinstance(body, dict) else {}


async def _read_form(call: Call, limit: int) -> None:
    try:
        reader = await call.request.multipart()
        async for part in reader:
            if not isinstance(part, BodyPartReader):
                continue
            if part.filename is not None or part.name == "file":
                call.file = await _read_file(part, limit)
            else:
                call.body[part.name or ""] = await part.text()
    except (ValueError, AssertionError, KeyError):
        call.is_readable = False


async def _read_file(part: BodyPartReader, limit: int) -> FilePart:
    """Keep at most `limit` bytes but read to the end, so that the client gets its answer."""
    data = bytearray()
    size = 0
    while chunk := await part.read_chunk(_CHUNK):
        size += len(chunk)
        if size <= limit:
            data += chunk
    return FilePart(part.filename or "upload.bin", bytes(data), size > limit)


def _key(call: Call) -> str:
    kind, _, token = call.request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and token.strip():
        return token.strip()
    return call.text("apiKey") or call.text("apikey")
