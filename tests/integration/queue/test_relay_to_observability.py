"""The relay against the observability service itself: what arrives is the whole story."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from etapa.queue.v1 import job_pb2
from tests.support.observability import running_observability
from tests.support.postgres import MakeDatabase
from tests.support.queue_relay import emptied, relaying, run_job
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
