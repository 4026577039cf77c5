"""How a payload's bytes are kept: as a frame in the row, large ones in the blob store."""

from __future__ import annotations

from typing import NamedTuple

from services.observability.domain import INLINE_BYTES, Body
from services.observability.frame import Dictionary, pack
from services.runtime.blobs import BlobStore


class Kept(NamedTuple):
    """Where a body is: a frame, or a blob. Neither: the gateway tells these bytes."""

    frame: bytes | None = None
    blob_sha256: str | None = None


def keep(body: Body, dictionary: Dictionary) -> Kept:
    """Pack a body for its row. Large bodies must have been moved to the blob store before."""
    if body.blob_sha256:
        return Kept(blob_sha256=body.blob_sha256)
    return Kept(pack(body.data, dictionary))


async def move_if_large(body: Body, blobs: BlobStore) -> Body:
    """Put a body that is too large for a row into the blob store; return what to keep."""
    if len(body.data) <= INLINE_BYTES:
        return body
    return Body(blob_sha256=(await blobs.put(body.data)).sha256)
