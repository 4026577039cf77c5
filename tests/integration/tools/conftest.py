from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from services.runtime.blobs import BlobStore
from services.runtime.ids import new_id
from services.tools.media import MediaRoom, PreparedMedia
from services.tools.spool import Spool
from services.tools.tool import MediaInput
from services.tools.worker_pool import WorkerPool

Prepare = Callable[..., Awaitable[PreparedMedia]]
MEMORY_BYTES = 2 << 30


@pytest.fixture
async def workers() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(size=1, memory_bytes=MEMORY_BYTES)
    yield pool
    await pool.close()


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(str(tmp_path / "blobs"))


@pytest.fixture
def room(workers: WorkerPool, blobs: BlobStore) -> MediaRoom:
    return MediaRoom(workers, blobs)


@pytest.fixture
def prepare(room: MediaRoom, tmp_path: Path) -> Prepare:
    async def run(rule: MediaInput, data: bytes, name: str = "foto.jpg") -> PreparedMedia:
        spool = Spool(tmp_path / f"upload-{new_id()}", rule)
        try:
            await spool.write(data)
            return await room.prepare(rule, await spool.finish(), name)
        finally:
            spool.close()

    return run
