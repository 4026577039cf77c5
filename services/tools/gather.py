"""Brings all media of one request together: uploads out of the stream, URLs by fetching.

What came complete is prepared while the rest still comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, aclosing
from pathlib import Path

from services.tools.domain import Text, UploadCutError, UploadOrderError, UploadStalledError
from services.tools.fetch import Fetcher
from services.tools.media import MediaRoom, PreparedMedia
from services.tools.request import MAX_NAME_CHARS, Chunk, Source, display_name
from services.tools.spool import Spool, Spooled
from services.tools.tool import MIB, AnyTool, MediaInput

MAX_CHUNK_BYTES = MIB


class MediaGatherer:
    """Fetches, spools and prepares. `idle_s` is how long an upload may stand still."""

    def __init__(self, room: MediaRoom, fetcher: Fetcher, idle_s: float) -> None:
        self._room = room
        self._fetcher = fetcher
        self._idle_s = idle_s

    async def gather(
        self,
        tool: AnyTool,
        sources: tuple[Source, ...],
        chunks: AsyncIterator[Chunk],
        folder: Path,
    ) -> list[PreparedMedia]:
        """Return the prepared media in the tool's order; `folder` is for this request alone.

        Raises a `BadMediaError` or an `UnavailableError`, the first that is met.
        """
        given = {source.name: source for source in sources}
        wanted = {media.name: media for media in tool.media if media.name in given}
        urls = {name: given[name].url or "" for name in wanted if given[name].url}
        uploads = {name: media for name, media in wanted.items() if name not in urls}
        prepared: dict[str, PreparedMedia] = {}

        async def keep(name: str, spooled: Spooled) -> None:
            file_name = display_name(given[name])
            prepared[name] = await self._room.prepare(wanted[name], spooled, file_name)

        async def fetch(name: str) -> None:
            spool = Spool(folder / name, wanted[name])
            await keep(name, await self._fetcher.fetch(urls[name], wanted[name], spool))

        try:
            async with asyncio.TaskGroup() as group:
                for name in urls:
                    group.create_task(fetch(name))
                uploading = receive_uploads(uploads, chunks, folder, self._idle_s)
                async with aclosing(uploading) as received:
                    async for name, spooled in received:
                        group.create_task(keep(name, spooled))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [prepared[name] for name in wanted]


async def receive_uploads(
    uploads: dict[str, MediaInput], chunks: AsyncIterator[Chunk], folder: Path, idle_s: float
) -> AsyncGenerator[tuple[str, Spooled], None]:
    """Yield each file when its last piece has come; stop after the last file.

    Raises `UploadCutError` where the stream ends before, `UploadStalledError` where nothing
    comes for `idle_s`, and `UploadOrderError` for a piece that belongs to none of the open files.
    """
    with ExitStack() as stack:
        open_spools: dict[str, Spool] = {}
        for name, media in uploads.items():
            open_spools[name] = Spool(folder / name, media)
            stack.callback(open_spools[name].close)
        while open_spools:
            chunk = await _next_of(chunks, next(iter(open_spools)), idle_s)
            spool = open_spools.get(chunk.media)
            if spool is None or len(chunk.data) > MAX_CHUNK_BYTES:
                raise _out_of_order(chunk, list(open_spools))
            await spool.write(chunk.data)
            if chunk.last:
                del open_spools[chunk.media]
                yield chunk.media, await spool.finish()


async def _next_of(chunks: AsyncIterator[Chunk], field: str, idle_s: float) -> Chunk:
    """Return the next piece that brings the upload on: an empty one is no sign of life."""
    try:
        async with asyncio.timeout(idle_s):
            while chunk := await anext(chunks, None):
                if chunk.data or chunk.last:
                    return chunk
    except TimeoutError as err:
        raise _stalled(field, idle_s) from err
    raise upload_cut(field)


def upload_cut(field: str = "") -> UploadCutError:
    """Return the refusal of an upload that ended too early."""
    return UploadCutError(
        field,
        Text(
            "O envio foi interrompido antes do fim. Envie o arquivo de novo.",
            "The upload was cut off before its end. Send the file again.",
        ),
    )


def _stalled(field: str, idle_s: float) -> UploadStalledError:
    return UploadStalledError(
        field,
        Text(
            f"O envio parou por {idle_s:g} s. Verifique a conexão e envie de novo.",
            f"The upload stood still for {idle_s:g} s. Check the connection, send it again.",
        ),
        {"idle_s": f"{idle_s:g}"},
    )


def _out_of_order(chunk: Chunk, open_names: list[str]) -> UploadOrderError:
    name, wanted = chunk.media[:MAX_NAME_CHARS], ", ".join(open_names)
    got = f"{len(chunk.data)} bytes for {name!r}"
    return UploadOrderError(
        name,
        Text(
            f"Parte inesperada: {got}. Esperadas partes de até 1 MiB de: {wanted}.",
            f"Unexpected piece: {got}. Expected pieces of at most 1 MiB of: {wanted}.",
        ),
    )
