from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from services.tools.domain import BadMediaError, MediaBusyError, Text
from services.tools.tool import Kind, MediaInput
from services.tools.worker_pool import WorkerPool
from services.tools.worker_wire import Task
from tests.integration.tools.conftest import MEMORY_BYTES
from tests.support.tool_media import bomb_png, image_bytes, two_halves
from tests.support.waiting import eventually

RULE = MediaInput(name="image", kind=Kind.IMAGE, label=Text("Foto", "Photo"), max_side_px=1024)


def task(folder: Path, data: bytes, target: str = "out") -> Task:
    source = folder / "in"
    source.write_bytes(data)
    return Task(
        source=str(source), target=str(folder / target), content_type="image/png", rule=RULE
    )


def fine(folder: Path) -> Task:
    return task(folder, image_bytes(two_halves()))


async def test_worker_over_its_time_is_ended_and_the_next_file_works(tmp_path: Path) -> None:
    pool = WorkerPool(size=1, memory_bytes=MEMORY_BYTES)
    fifo = tmp_path / "never"
    os.mkfifo(fifo)
    stuck = Task(source=str(fifo), target="unused", content_type="image/png", rule=RULE)
    with pytest.raises(BadMediaError) as caught:
        await pool.run(stuck, limit_s=0.5)
    assert caught.value.reason == "MEDIA_TOO_COSTLY"
    assert (await pool.run(fine(tmp_path), limit_s=30)).width == 80
    await pool.close()


async def test_worker_out_of_memory_refuses_the_file_and_works_on(tmp_path: Path) -> None:
    pool = WorkerPool(size=1, memory_bytes=300 << 20)
    with pytest.raises(BadMediaError) as caught:
        await pool.run(task(tmp_path, bomb_png(9_000, 9_000)), limit_s=60)
    assert caught.value.reason == "MEDIA_TOO_COSTLY"
    assert (await pool.run(fine(tmp_path), limit_s=30)).width == 80
    await pool.close()


async def test_worker_that_died_is_replaced_unseen(tmp_path: Path) -> None:
    pool = WorkerPool(size=1, memory_bytes=MEMORY_BYTES)
    await pool.run(fine(tmp_path), limit_s=30)
    os.kill(pool.worker_ids()[0], signal.SIGKILL)
    assert (await pool.run(fine(tmp_path), limit_s=30)).width == 80
    await pool.close()


async def test_file_that_ends_its_reader_twice_is_refused(tmp_path: Path) -> None:
    pool = WorkerPool(size=1, memory_bytes=MEMORY_BYTES)
    fifo = tmp_path / "never"
    os.mkfifo(fifo)
    stuck = Task(source=str(fifo), target="unused", content_type="image/png", rule=RULE)
    run = asyncio.create_task(pool.run(stuck, limit_s=60))
    killed: set[int] = set()

    async def kill_a_new_one() -> bool:
        fresh = set(pool.worker_ids()) - killed
        for pid in fresh:
            os.kill(pid, signal.SIGKILL)
        killed.update(fresh)
        return len(killed) == 2

    await eventually(kill_a_new_one)
    with pytest.raises(BadMediaError) as caught:
        await run
    assert (caught.value.reason, caught.value.facts["exit_code"]) == ("MEDIA_TOO_COSTLY", "-9")
    assert (await pool.run(fine(tmp_path), limit_s=30)).width == 80
    await pool.close()


async def test_worker_that_cannot_start_is_not_the_files_fault(tmp_path: Path) -> None:
    pool = WorkerPool(size=1, memory_bytes=16 << 20)
    with pytest.raises(MediaBusyError, match="did not start"):
        await pool.run(fine(tmp_path), limit_s=30)
    assert pool.worker_ids() == []


async def test_folder_that_is_gone_is_not_the_files_fault(tmp_path: Path) -> None:
    pool = WorkerPool(size=1, memory_bytes=MEMORY_BYTES)
    with pytest.raises(MediaBusyError):
        await pool.run(task(tmp_path, image_bytes(two_halves()), "gone/out"), limit_s=30)
    await pool.close()


async def test_cancelled_wait_ends_the_worker(tmp_path: Path) -> None:
    pool = WorkerPool(size=1, memory_bytes=MEMORY_BYTES)
    fifo = tmp_path / "never"
    os.mkfifo(fifo)
    stuck = Task(source=str(fifo), target="unused", content_type="image/png", rule=RULE)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await pool.run(stuck, limit_s=60)
    assert pool.worker_ids() == []


async def test_workers_share_the_load_within_their_number(tmp_path: Path) -> None:
    pool = WorkerPool(size=2, memory_bytes=MEMORY_BYTES)
    folders = [tmp_path / str(number) for number in range(6)]
    for folder in folders:
        folder.mkdir()
    await asyncio.gather(*(pool.run(fine(folder), limit_s=30) for folder in folders))
    assert len(pool.worker_ids()) == 2
    await pool.close()
    assert pool.worker_ids() == []
