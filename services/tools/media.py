"""Turns a file that somebody sent into media that a job may use, kept in the blob store.

Sniffs, then lets a worker process check, bound and re-encode it. Knows no request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.runtime.blobs import BlobStore
from services.tools.domain import MediaKindError, Text
from services.tools.sniff import HEAD_BYTES, Sniffed, sniff
from services.tools.spool import Spooled
from services.tools.tool import Kind, MediaInput
from services.tools.worker_pool import WorkerPool
from services.tools.worker_wire import Task

_WORK_LIMITS_S = {Kind.IMAGE: 30.0, Kind.VIDEO: 90.0}
_WANTED = {
    Kind.IMAGE: Text(
        "uma imagem JPEG, PNG, WebP, HEIC, AVIF, GIF ou BMP",
        "a JPEG, PNG, WebP, HEIC, AVIF, GIF or BMP image",
    ),
    Kind.VIDEO: Text("um vídeo MP4, WebM, MOV ou M4V", "an MP4, WebM, MOV or M4V video"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedMedia:
    """Media in the blob store. `bytes` and `sha256` (hex) are of what was kept.

    `source_bytes` and `source_sha256` are of the file as it came.
    """

    name: str
    sha256: str
    bytes: int
    content_type: str
    width: int
    height: int
    duration_s: float
    file_name: str
    source_bytes: int
    source_sha256: str


@dataclass(frozen=True, slots=True)
class MediaRoom:
    """Where media is prepared: the workers, and the store it ends in."""

    workers: WorkerPool
    blobs: BlobStore
    work_limits_s: Mapping[Kind, float] = field(default_factory=lambda: dict(_WORK_LIMITS_S))

    async def prepare(self, rule: MediaInput, spooled: Spooled, file_name: str) -> PreparedMedia:
        """Check and keep one file. Raises a `BadMediaError`, or an `UnavailableError`.

        `file_name` is for people; neither it nor its extension is believed.
        """
        found = sniff(await asyncio.to_thread(_read_head, spooled.path))
        if found.kind is not rule.kind:
            raise _wrong_kind(rule, found)
        target = spooled.path.with_name(spooled.path.name + ".ready")
        task = Task(
            source=str(spooled.path),
            target=str(target),
            content_type=found.content_type,
            rule=rule,
        )
        ready = await self.workers.run(task, self.work_limits_s[rule.kind])
        if ready.same:
            blob = await self.blobs.put_file(spooled.path, spooled.sha256)
        else:
            blob = await self.blobs.put_file(target)
        return PreparedMedia(
            name=rule.name,
            sha256=blob.sha256,
            bytes=blob.bytes,
            content_type=ready.content_type,
            width=ready.width,
            height=ready.height,
            duration_s=ready.duration_s,
            file_name=file_name,
            source_bytes=spooled.bytes,
            source_sha256=spooled.sha256,
        )


def _read_head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _wrong_kind(rule: MediaInput, found: Sniffed) -> MediaKindError:
    wanted, what = _WANTED[rule.kind], found.content_type
    return MediaKindError(
        rule.name,
        Text(
            f"O conteúdo do arquivo é {what}. Envie {wanted.pt}.",
            f"The file's content is {what}. Send {wanted.en}.",
        ),
        {"content_type": what},
    )
