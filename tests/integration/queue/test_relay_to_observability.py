"""The relay against the observability service itself: what arrives is the whole story."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from etapa.queue.v1 import job_pb2, queue_pb2
from tests.support.observability import running_observability
from tests.support.postgres import MakeDatabase
from tests.support.queue_relay import emptied, relaying, run_job
from tests.support.queue_server import serving, submission
from tests.support.queue_world import open_world


async def test_the_trail_holds_every_event_of_the_job(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    dsn = await make_database(["queue", "observability"])
    async with open_world(dsn) as world, running_observability(dsn, tmp_path) as service:
        world.now = datetime.now(UTC)
        job_id = await run_job(world)
        job = await world.job(job_id)
        async with relaying(world, f"127.0.0.1:{service.port}"):
            await emptied(world)
        trail = await service.get_trail(str(job_id))
        assert trail.through_seq == job.seq
        assert trail.job.status == job_pb2.JOB_STATUS_COMPLETED
        assert not await world.fetch("SELECT 1 FROM queue.rejected_events")


async def test_a_parameter_that_is_not_sent_as_given_is_told_in_the_trail(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    dsn = await make_database(["queue", "observability"])
    ready = submission()
    ready.adjustments.append(
        queue_pb2.Adjustment(field="resolution", given="8192", sent="2048", why="2048 is the most")
    )
    async with open_world(dsn) as world, running_observability(dsn, tmp_path) as service:
        world.now = datetime.now(UTC)
        async with serving(world) as queue:
            job_id = await queue.create()
            await queue.client.queue.submit_job(job_id=job_id, ready=ready)
        async with relaying(world, f"127.0.0.1:{service.port}"):
            await emptied(world)
        trail = await service.get_trail(job_id)
    (note,) = [each for each in trail.notes if each.code == "PARAMETER_ADJUSTED"]
    assert note.text == "resolution 8192 is sent as 2048: 2048 is the most"
    assert msgspec.json.decode(note.details_json) == {
        "field": "resolution",
        "given": "8192",
        "sent": "2048",
        "why": "2048 is the most",
    }
