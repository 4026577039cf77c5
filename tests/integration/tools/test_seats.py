from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from etapa.queue.v1 import job_pb2
from etapa_client.errors import EtapaError
from services.tools.worker_pool import WorkerPool
from tests.support.tool_media import image_bytes, two_halves
from tests.support.tools_house import House, chunk, header, open_house
from tests.support.waiting import eventually

PHOTO = image_bytes(two_halves(64, 48))


async def in_line(house: House, count: int) -> None:
    async def there() -> bool:
        return house.seats.waiting == count

    await eventually(there)


async def start(stub: Any, house: House, request_id: str) -> Any:
    """Open an upload that has a job and then stands still."""
    before = len(house.queue.created)
    call = stub.RunTool(timeout=60)
    await call.write(header(request_id=request_id))
    await house.queue.wait(house.queue.created, before + 1)
    return call


async def ask(stub: Any, house: House, request_id: str) -> Any:
    """Open an upload that has to wait for a seat."""
    before = house.seats.waiting
    call = stub.RunTool(timeout=60)
    await call.write(header(request_id=request_id))
    await call.write(chunk(PHOTO, last=True))
    await in_line(house, before + 1)
    return call


async def test_wait_for_a_seat_does_not_count_against_the_upload_limit(
    tmp_path: Path, workers: WorkerPool
) -> None:
    opened = open_house(tmp_path, workers, seats=1, upload_s=2)
    async with opened as house, house.stub() as stub:
        first = await start(stub, house, "r-1")
        second = stub.RunTool(timeout=60)
        await second.write(header(request_id="r-2"))
        await in_line(house, 1)
        third = await ask(stub, house, "r-3")
        assert (await first).job.error_class == "upload_timeout"
        assert (await second).job.error_class == "upload_timeout"
        assert (await third).job.status == job_pb2.JOB_STATUS_QUEUED


async def test_no_job_is_made_while_its_caller_waits_for_a_seat_nor_if_it_leaves(
    tmp_path: Path, workers: WorkerPool
) -> None:
    async with open_house(tmp_path, workers, seats=1) as house, house.stub() as stub:
        first = await start(stub, house, "r-1")
        leaving = await ask(stub, house, "r-2")
        leaving.cancel()
        await in_line(house, 0)
        staying = await ask(stub, house, "r-3")
        await first.write(chunk(PHOTO, last=True))
        assert (await first).job.status == job_pb2.JOB_STATUS_QUEUED
        assert (await staying).job.status == job_pb2.JOB_STATUS_QUEUED
        assert [created.request_id for created in house.queue.created] == ["r-1", "r-3"]


async def test_one_too_many_in_line_is_told_so_and_leaves_no_job(
    tmp_path: Path, workers: WorkerPool
) -> None:
    async with open_house(tmp_path, workers, seats=1, line=1) as house, house.stub() as stub:
        first = await start(stub, house, "r-1")
        second = await ask(stub, house, "r-2")
        with pytest.raises(EtapaError, match="1 uploads are under way") as caught:
            await house.client.tools.run("bg_remover", {}, {"image": PHOTO}, "ana", "r-3")
        assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert caught.value.reason == "UPLOADS_FULL"
        assert len(house.queue.created) == 1
        first.cancel()
        assert (await second).job.status == job_pb2.JOB_STATUS_QUEUED


@pytest.mark.parametrize("sign", [None, chunk(b"")])
async def test_stalled_upload_gives_its_seat_up_long_before_the_total_limit(
    tmp_path: Path, workers: WorkerPool, sign: Any
) -> None:
    opened = open_house(tmp_path, workers, seats=1, idle_s=0.5)
    async with opened as house, house.stub() as stub:
        first = await start(stub, house, "r-1")
        pulse = asyncio.create_task(beat(first, sign))
        second = await ask(stub, house, "r-2")
        answer = await first
        pulse.cancel()
        assert answer.job.error_class == "upload_timeout"
        assert house.queue.submitted[0].rejected.details["reason"] == "UPLOAD_STALLED"
        assert (await second).job.status == job_pb2.JOB_STATUS_QUEUED


async def beat(call: Any, sign: Any) -> None:
    """Send pieces without content, again and again."""
    while sign is not None and not call.done():
        await call.write(sign)
        await asyncio.sleep(0.05)


async def test_repeat_of_a_cut_upload_passes_those_in_line(
    tmp_path: Path, workers: WorkerPool
) -> None:
    opened = open_house(tmp_path, workers, seats=1, grace_s=60)
    async with opened as house, house.stub() as stub:
        first = await start(stub, house, "r-1")
        other = await ask(stub, house, "r-2")
        first.cancel()
        answer = await stub.RunTool(
            iter([header(request_id="r-1"), chunk(PHOTO, last=True)]), timeout=60
        )
        assert answer.job.status == job_pb2.JOB_STATUS_QUEUED
        assert (await other).job.status == job_pb2.JOB_STATUS_QUEUED
        made = [created.request_id for created in house.queue.created]
        assert made == ["r-1", "r-1", "r-2"]
