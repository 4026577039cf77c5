"""A queue with its loops running, against a real Postgres and the emulator over a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from services.queue.callbacks import Callbacks
from services.queue.claim import Claims
from services.queue.dispatcher import Dispatcher
from services.queue.domain import Change, JobState, MediaFile, Node, Submission
from services.queue.finisher import Finisher
from services.queue.intake import Intake
from services.queue.launch import Launcher
from services.queue.lease import LeaseKeeper
from services.queue.placement import Placement
from services.queue.policy import Policy
from services.queue.reconciler import Reconciler
from services.queue.recorder import Recorder
from services.queue.starter import Starter
from services.queue.sweeper import Sweeper
from services.queue.transitions import Transitions
from services.queue.waits import record_waits
from services.runninghub.client import Limits, RunningHubClient
from services.runtime.blobs import BlobStore
from tests.support.queue_world import QueueWorld
from tests.support.tool_media import image_bytes, two_halves

UPSCALER = "2037188547966406658"


@dataclass
class QueueProcess:
    """The loops of one queue process around a world, and what tests wait for."""

    world: QueueWorld
    blobs: BlobStore
    changed: asyncio.Event
    photo: MediaFile
    reconciler: Reconciler

    async def run(self, user_id: str = "ana", webapp_id: str = UPSCALER) -> UUID:
        """Enqueue an upscaler job on a real photo."""
        job_id = await self.world.create(user_id)
        nodes = (Node("1", "image", media_file="image"), Node("548", "value", text="512"))
        await self.world.intake.submit(job_id, Submission(webapp_id, nodes, (self.photo,)))
        return job_id

    async def until(self, job_id: UUID, status: str = "final", timeout_s: float = 30) -> JobState:
        """Wait for a status of the job; "final" for any final one."""
        async with asyncio.timeout(timeout_s):
            while True:
                self.changed.clear()
                job = await self.world.job(job_id)
                if job.status == status or (status == "final" and job.status.is_final):
                    return job
                await self.changed.wait()

    async def until_note(self, job_id: UUID, code: str, timeout_s: float = 30) -> None:
        """Wait for a note in the job's history."""
        async with asyncio.timeout(timeout_s):
            while True:
                self.changed.clear()
                if code in await self.world.notes(job_id):
                    return
                await self.changed.wait()


@asynccontextmanager
async def running_queue(
    world: QueueWorld,
    folder: Path,
    *,
    public_url: str = "",
    limits: Limits | None = None,
    poll_s: float = 0.05,
    at_once: int = 64,
) -> AsyncIterator[QueueProcess]:
    """Run dispatcher, reconciler, finisher and sweeper until the block ends.

    `at_once` bounds the starts, and the questions, that are under way.
    """
    world.transitions = transitions = _on_wall_clock(world)
    blobs = BlobStore(str(folder / "blobs"))
    recorder, leases = Recorder(blobs), LeaseKeeper(transitions)
    changed = _changed(transitions)
    transitions.listen(record_waits)
    stop = asyncio.Event()
    async with RunningHubClient(limits) as provider:
        placement = Placement(
            world.pool,
            provider,
            blobs,
            recorder,
            transitions.clock,
            public_url=public_url,
            media_key=b"key",
            time_scale=world.policy.time_scale,
        )
        launcher = Launcher(recorder, public_url=public_url)
        starter = Starter(transitions, provider, placement, recorder, leases, launcher)
        workers = (
            Dispatcher(
                Claims(transitions, launcher, 0), starter, max_starts=at_once, poll_s=poll_s
            ),
            Reconciler(
                transitions, provider, recorder, placement, max_queries=at_once, poll_s=poll_s
            ),
            _finisher(transitions, provider, blobs, recorder, leases, poll_s),
        )
        world.intake = Intake(
            transitions, world.active_limit, world.global_limit, workers[0].entrances
        )
        loops = [worker.run(stop) for worker in workers]
        forever = [leases.run(), Sweeper(transitions, Callbacks(transitions), every_s=0.1).run()]
        tasks = [asyncio.create_task(loop) for loop in (*loops, *forever)]
        try:
            yield QueueProcess(world, blobs, changed, await _photo(blobs), workers[1])
        finally:
            stop.set()
            for worker in workers:
                worker.wake()
            await asyncio.gather(*tasks[: len(loops)])
            for task in tasks[len(loops) :]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await transitions.drain()


def _changed(transitions: Transitions) -> asyncio.Event:
    changed = asyncio.Event()

    def on_changes(_changes: Sequence[Change]) -> None:
        changed.set()

    transitions.listen(on_changes)
    return changed


def _finisher(
    transitions: Transitions,
    provider: RunningHubClient,
    blobs: BlobStore,
    recorder: Recorder,
    leases: LeaseKeeper,
    poll_s: float,
) -> Finisher:
    return Finisher(
        transitions,
        provider,
        blobs,
        recorder,
        leases,
        media_url="http://media.test",
        media_key=b"key",
        poll_s=poll_s,
    )


def _on_wall_clock(world: QueueWorld) -> Transitions:
    return Transitions(world.pool, world.policy, lambda: datetime.now(UTC))


async def _photo(blobs: BlobStore) -> MediaFile:
    data = image_bytes(two_halves(64, 48))
    blob = await blobs.put(data)
    return MediaFile("image", blob.sha256, blob.bytes, "image/jpeg", "photo.jpg", 64, 48)


FAST = Policy(
    time_scale=0.05, poll_slow_s=4, poll_fast_s=2, callbacks_expected=False, propagation_s=20
)
