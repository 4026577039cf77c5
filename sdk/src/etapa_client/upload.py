"""Media on its way to a tool: named sources, and their bytes as a stream of chunks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import grpc

from etapa.tools.v1 import tools_pb2
from etapa_client.errors import InvalidInputError

CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Url:
    """Media that the server fetches; private addresses are refused there."""

    url: str


@dataclass(frozen=True, slots=True)
class Upload:
    """Media that this client sends, under the name by which its user knows it."""

    content: bytes | Path
    file_name: str


# A text is an http(s) URL or else a path.
MediaSource: TypeAlias = "Url | Upload | Path | bytes | str"


def normalised(media: Mapping[str, MediaSource]) -> dict[str, Url | Upload]:
    """Give every source its full form. Raises InvalidInputError for a file that is not there."""
    return {name: _normalise(name, source) for name, source in media.items()}


def media_sources(media: Mapping[str, Url | Upload]) -> list[tools_pb2.MediaSource]:
    """Describe the sources for the header of a run."""
    return [
        tools_pb2.MediaSource(name=name, url=source.url)
        if isinstance(source, Url)
        else tools_pb2.MediaSource(name=name, upload_file_name=source.file_name)
        for name, source in media.items()
    ]


async def media_chunks(media: Mapping[str, Url | Upload]) -> AsyncIterator[tools_pb2.MediaChunk]:
    """Yield the bytes of all uploads, one media after the other, the last piece marked."""
    for name, source in media.items():
        if isinstance(source, Url):
            continue
        if isinstance(source.content, bytes):
            for chunk in _pieces(name, source.content):
                yield chunk
        else:
            async for chunk in _read(name, source.content):
                yield chunk


def _pieces(name: str, content: bytes) -> Iterable[tools_pb2.MediaChunk]:
    for start in range(0, max(len(content), 1), CHUNK_BYTES):
        end = start + CHUNK_BYTES
        yield tools_pb2.MediaChunk(media=name, data=content[start:end], last=end >= len(content))


async def _read(name: str, path: Path) -> AsyncIterator[tools_pb2.MediaChunk]:
    with await asyncio.to_thread(path.open, "rb") as file:
        data = await asyncio.to_thread(file.read, CHUNK_BYTES)
        while True:
            following = await asyncio.to_thread(file.read, CHUNK_BYTES) if data else b""
            yield tools_pb2.MediaChunk(media=name, data=data, last=not following)
            if not following:
                return
            data = following


def _normalise(name: str, source: MediaSource) -> Url | Upload:
    if isinstance(source, str):
        source = Url(source) if source.startswith(("http://", "https://")) else Path(source)
    if isinstance(source, bytes):
        source = Upload(source, name)
    if isinstance(source, Path):
        source = Upload(source, source.name)
    if isinstance(source, Upload) and isinstance(source.content, Path):
        _need_file(name, source.content)
    return source


def _need_file(name: str, path: Path) -> None:
    if not path.is_file():
        raise InvalidInputError(
            f"{name}: there is no file {path}. Give the path of an existing file, or a URL.",
            reason="FILE_NOT_FOUND",
            facts={"field": name, "path": str(path)},
            code=grpc.StatusCode.INVALID_ARGUMENT,
        )
