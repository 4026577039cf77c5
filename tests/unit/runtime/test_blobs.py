"""The blob store: bytes by their digest, and nothing by any other name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from services.runtime.blobs import Blob, BlobNotFoundError, BlobStore
from services.runtime.errors import UnavailableError
from tests.support.blob_folder import erase


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(str(tmp_path / "blobs"))


async def test_what_was_put_comes_back(blobs: BlobStore) -> None:
    blob = await blobs.put(b"bytes")
    assert blob.sha256 == hashlib.sha256(b"bytes").hexdigest()
    assert await blobs.get(blob.sha256) == b"bytes"
    assert await blobs.size(blob.sha256) == 5


async def test_a_file_is_kept_and_streamed_in_ranges(blobs: BlobStore, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096
    path = tmp_path / "file"
    path.write_bytes(content)
    blob = await blobs.put_file(path)
    assert b"".join([chunk async for chunk in blobs.stream(blob.sha256)]) == content
    part = [chunk async for chunk in blobs.stream(blob.sha256, 10, 300_000)]
    assert b"".join(part) == content[10:300_000]


async def test_a_digest_that_is_known_is_not_computed_again(
    blobs: BlobStore, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"output")
    known = "ab" * 32  # not of these bytes: whoever reads them again would find another
    assert await blobs.put_file(path, known) == Blob(known, 6)
    assert await blobs.get(known) == b"output"


async def test_a_blob_erased_between_two_pieces_is_missed(blobs: BlobStore, tmp_path: Path) -> None:
    blob = await blobs.put(bytes(600_000))
    pieces = blobs.stream(blob.sha256)
    await anext(pieces)
    erase(tmp_path / "blobs", blob.sha256)
    with pytest.raises(BlobNotFoundError):
        await anext(pieces)


async def test_a_store_that_goes_between_two_pieces_is_away(
    blobs: BlobStore, tmp_path: Path
) -> None:
    blob = await blobs.put(bytes(600_000))
    pieces = blobs.stream(blob.sha256)
    await anext(pieces)
    (tmp_path / "blobs").rename(tmp_path / "elsewhere")
    (tmp_path / "blobs").touch()
    with pytest.raises(UnavailableError):
        await anext(pieces)


async def test_a_put_may_be_repeated(blobs: BlobStore) -> None:
    assert await blobs.put(b"same") == await blobs.put(b"same")


async def test_an_erased_blob_is_gone(blobs: BlobStore, tmp_path: Path) -> None:
    blob = await blobs.put(b"photo of a person")
    erase(tmp_path / "blobs", blob.sha256)
    with pytest.raises(BlobNotFoundError):
        await blobs.get(blob.sha256)


@pytest.mark.parametrize("name", ["../../../etc/passwd", "", "AB" * 32, "ab" * 31, "a/b"])
async def test_a_name_that_is_no_digest_finds_nothing(blobs: BlobStore, name: str) -> None:
    with pytest.raises(BlobNotFoundError):
        await blobs.get(name)


async def test_the_empty_blob_is_a_blob(blobs: BlobStore) -> None:
    blob = await blobs.put(b"")
    assert await blobs.get(blob.sha256) == b""
    assert [chunk async for chunk in blobs.stream(blob.sha256)] == []
