"""Runs the observability service in this process, as deployed but for the port, and calls it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grpc import aio

from etapa.observability.v1 import (
    event_pb2,
    intake_pb2,
    intake_pb2_grpc,
    trail_pb2,
    trail_pb2_grpc,
)
from services.observability.__main__ import main
from tests.support.history import History

DEADLINE_S = 20.0


@dataclass
class Observability:
    """A running service and stubs for it."""

    port: int
    channel: aio.Channel
    intake: Any
    trail: Any

    async def record(
        self, events: Sequence[event_pb2.Event], size: int = 100
    ) -> list[intake_pb2.RecordEventsResponse]:
        """Send events in batches over one stream; return the acknowledgements."""
        batches = [
            intake_pb2.RecordEventsRequest(batch=start, events=events[start : start + size])
            for start in range(0, len(events), size)
        ]
        return [each async for each in self.intake.RecordEvents(iter(batches))]

    async def record_jobs(self, *jobs: History) -> None:
        """Send all events of jobs."""
        await self.record([event for job in jobs for event in job.events])

    async def get_trail(self, job_id: str) -> trail_pb2.GetTrailResponse:
        """Read one job's story."""
        request = trail_pb2.GetTrailRequest(job_id=job_id)
        response: trail_pb2.GetTrailResponse = await self.trail.GetTrail(
            request, timeout=DEADLINE_S
        )
        return response

    def watch(self, job_id: str, after_seq: int = 0, *, follow: bool = False) -> Any:
        """Watch one job."""
        request = trail_pb2.WatchRequest(job_id=job_id, after_seq=after_seq, follow=follow)
        return self.trail.Watch(request)

    async def list_jobs(self, **filters: Any) -> trail_pb2.ListJobsResponse:
        """List jobs."""
        request = trail_pb2.ListJobsRequest(**filters)
        response: trail_pb2.ListJobsResponse = await self.trail.ListJobs(
            request, timeout=DEADLINE_S
        )
        return response

    async def find(self, query: str) -> list[tuple[str, str]]:
        """Find jobs; return (job_id, what matched)."""
        response = await self.trail.Find(trail_pb2.FindRequest(query=query), timeout=DEADLINE_S)
        return [(each.job.job_id, each.matched) for each in response.matches]


@asynccontextmanager
async def running_observability(
    dsn: str, folder: Path, *, port: int = 0, wait_ready: bool = True, **settings: str
) -> AsyncIterator[Observability]:
    """Run the service for the length of the context; `settings` without their prefix."""
    env = {
        "ETAPA_DATABASE_URL": dsn,
        "ETAPA_BLOBS": str(folder / "blobs"),
        "ETAPA_OBSERVABILITY_LISTEN": f"127.0.0.1:{port}",
        "ETAPA_OBSERVABILITY_GRACE_S": "1",
        **{f"ETAPA_OBSERVABILITY_{name}": value for name, value in settings.items()},
    }
    stop = asyncio.Event()
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(main(env, stop, started.set_result))
    try:
        waited: list[asyncio.Future[Any]] = [task, started]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED, timeout=20)
        if task.done():
            await task
        async with connect(started.result()) as service:
            if wait_ready:
                await until_ready(service)
            yield service
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


@asynccontextmanager
async def connect(port: int) -> AsyncIterator[Observability]:
    """Open a channel of its own to a service."""
    async with aio.insecure_channel(
        f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]
    ) as channel:
        yield Observability(
            port,
            channel,
            intake_pb2_grpc.IntakeServiceStub(channel),
            trail_pb2_grpc.TrailServiceStub(channel),
        )


async def until_ready(service: Observability, timeout_s: float = 20) -> None:
    """Wait until reads are answered."""
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                await service.list_jobs(page_size=1)
            except aio.AioRpcError:
                await asyncio.sleep(0.02)
            else:
                return
