"""How a payload's bytes are kept: compressed where that helps, large ones in the blob store."""

from __future__ import annotations

from typing import NamedTuple

import zstandard

from services.observability.domain import INLINE_BYTES, Body
from services.runtime.blobs import BlobStore

# Below this the frame around the compressed bytes eats what is won.
LEAST_COMPRESSED_BYTES = 128
_compress = zstandard.ZstdCompressor(level=3).compress


class Kept(NamedTuple):
    """A body as the payload store holds it: `body` for plain and zstd, `blob_sha256` for blob.

    `delivery` has neither: the gateway tells these bytes.
    """

    encoding: str
    body: bytes | None = None
    blob_sha256: str | None = None


def keep(body: Body) -> Kept:
    """Encode a body for its row. Large bodies must have been moved to the blob store before."""
    if body.blob_sha256:
        return Kept("blob", blob_sha256=body.blob_sha256)
    if len(body.data) >= LEAST_COMPRESSED_BYTES:
        packed = _compress(body.data)
        if len(packed) < len(body.data):
            return Kept("zstd", packed)
    return Kept("plain", body.data)


def keep_plain(body: Body) -> Kept:
    """Leave a body as it is, for a row that SQL reads; Postgres compresses it by itself."""
    if body.blob_sha256:
        return Kept("blob", blob_sha256=body.blob_sha256)
    return Kept("plain", body.data)


async def bring_back(kept: Kept, blobs: BlobStore) -> bytes:
    """Return the bytes as they were stored. Raises `BlobNotFoundError` on an erased blob."""
    if kept.blob_sha256 is not None:
        return await blobs.get(kept.blob_sha256)
    body = kept.body or b""
    return zstandard.ZstdDecompressor().decompress(body) if kept.encoding == "zstd" else body


async def move_if_large(body: Body, blobs: BlobStore) -> Body:
    """Put a body that is too large for a row into the blob store; return what to keep."""
    if len(body.data) <= INLINE_BYTES:
        return body
    return Body(blob_sha256=(await blobs.put(body.data)).sha256)
