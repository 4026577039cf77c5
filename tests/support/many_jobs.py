"""Many jobs of many users over all tools, and clients that see each of them through."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from etapa.queue.v1 import job_pb2
from etapa_client import EtapaClient
from etapa_client.errors import DeadlineExceededError, UnavailableError
from etapa_client.names import FINAL_STATUSES
from etapa_client.upload import Upload
from tests.support.tool_media import image_bytes, write_video

TOOLS = ("upscaler", "pose_changer", "veste_ai", "video_upscaler")
CATEGORIES = ("pessoas_perto", "comida", "logo", "render3d", "fotoAntiga", "paisagem")
# Classes of a run that failed, as the emulator calls them: with and without new attempts.
FAILURES = (
    "gpu_oom",
    "moderation",
    "moderation_1501",
    "node_missing",
    "model_missing",
    "input_unreadable",
    "infra",
    "infra_upstream",
    "timeout",
    "unknown",
    "unexplained",
    "no_output",
)
_PAUSE_S = 0.2


@dataclass(frozen=True)
class Order:
    """One job that a user wants. Repeated under the same `request_id` until it is taken."""

    request_id: str
    user_id: str
    tool: str
    inputs: Mapping[str, Any]
    media: Mapping[str, Upload]


@dataclass
class Media:
    """Small media files, made once."""

    photos: Sequence[Upload]
    video: Upload
    _turn: int = field(default=0)

    @classmethod
    def make(cls, folder: Path) -> Media:
        """Make the files below `folder`."""
        photos = [photo(shade) for shade in (40, 120, 200)]
        video = write_video(folder / "clip.mp4", seconds=0.4, size=(64, 48))
        return cls(photos, Upload(video.read_bytes(), "clip.mp4"))

    def next_photo(self) -> Upload:
        """Return one photo after the other."""
        self._turn += 1
        return self.photos[self._turn % len(self.photos)]

    def of(self, tool: str) -> dict[str, Upload]:
        """Return what a tool takes."""
        match tool:
            case "pose_changer":
                return {"person": self.next_photo(), "reference": self.next_photo()}
            case "veste_ai":
                return {"person": self.next_photo(), "clothing": self.next_photo()}
            case "video_upscaler":
                return {"video": self.video}
            case _:
                return {"image": self.next_photo()}


def orders(media: Media, users: int, seed: int) -> list[Order]:
    """Return one job of each tool for each user, shuffled."""
    found = [
        Order(
            f"{tool}-{user}",
            f"user-{user}",
            tool,
            _inputs(tool, user),
            media.of(tool),
        )
        for user in range(users)
        for tool in TOOLS
    ]
    random.Random(seed).shuffle(found)  # noqa: S311 - no secret
    return found


async def grant(client: EtapaClient, users: int) -> None:
    """Give each user enough for all of it, in two buckets, so that some charges are split."""
    for user in range(users):
        for bucket, amount in (("monthly", 100), ("lifetime", 1000)):
            await client.credits.grant_credits(
                request_id=f"{bucket}-{user}", user_id=f"user-{user}", bucket=bucket, amount=amount
            )


async def submit(client: EtapaClient, order: Order, patience_s: float = 60) -> str:
    """Send an order until it is taken, whatever restarts meanwhile; return the job's id."""
    async with asyncio.timeout(patience_s):
        while True:
            try:
                job = await client.tools.run(
                    order.tool,
                    order.inputs,
                    order.media,
                    order.user_id,
                    order.request_id,
                    timeout_s=30,
                )
            except (UnavailableError, DeadlineExceededError):
                await asyncio.sleep(_PAUSE_S)
            else:
                return job.job_id


async def until_final(client: EtapaClient, job_id: str) -> job_pb2.Job:
    """Wait for a job's end, whatever restarts meanwhile."""
    while True:
        try:
            job = await client.queue.wait_job(job_id, max_wait_s=20)
        except (UnavailableError, DeadlineExceededError):
            await asyncio.sleep(_PAUSE_S)
        else:
            if job.status in FINAL_STATUSES:
                return job


async def see_through(
    client: EtapaClient, wanted: Sequence[Order], *, uploads: int = 8, open_jobs: int = 200
) -> list[job_pb2.Job]:
    """Submit all orders and wait for every job's end, at most so many of each at a time."""
    uploading, opened = asyncio.Semaphore(uploads), asyncio.Semaphore(open_jobs)

    async def one(order: Order) -> job_pb2.Job:
        async with opened:
            async with uploading:
                job_id = await submit(client, order)
            return await until_final(client, job_id)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(order)) for order in wanted]
    return [task.result() for task in tasks]


def _inputs(tool: str, user: int) -> dict[str, Any]:
    if tool != "upscaler":
        return {}
    category = CATEGORIES[user % len(CATEGORIES)]
    sizes = category in ("pessoas_perto", "paisagem")
    return {"category": category, **({"resolution": 512} if sizes else {})}


def photo(shade: int, name: str = "foto") -> Upload:
    """Return a small photo; each shade makes other bytes."""
    image = Image.new("RGB", (64, 48), (shade, 90, 255 - shade))
    return Upload(image_bytes(image), f"{name}-{shade}.jpg")
