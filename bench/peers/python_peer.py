"""A peer whose web process and workers are Python, as most are."""

from __future__ import annotations

import asyncio
import sys
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator

from bench.peers.callback_server import CallbackServer
from bench.peers.peer import Done, Kind, Peer, Settings


class PythonPeer(Peer):
    """Submits and takes callbacks in the host's loop; a worker is its module, told to `work`."""

    @abstractmethod
    async def submit_simple(self, job_id: int) -> None:
        """Take a job of the small benchmark: nothing but its place in the queue."""

    @abstractmethod
    async def carry_on(self, job_id: int, task_id: str, body: bytes) -> None:
        """Return when the callback's body and the queue's next task for the job are durable."""

    @abstractmethod
    def work(self, settings: Settings, number: int, done: Done) -> None:
        """Be worker process `number` until killed. Prints "ready" once it takes jobs."""

    def worker_command(self) -> list[str]:
        """Return this interpreter with the peer's module."""
        return [sys.executable, "-m", f"bench.peers.{self.module}", "work"]

    async def listen(self, settings: Settings) -> str:
        """Listen with aiohttp until the process ends."""
        return await CallbackServer(self.carry_on).start(settings.listen_port)

    async def submit_all(self, kind: Kind, ids: range, in_flight: int) -> None:
        """Submit from `in_flight` tasks."""
        submit = self.submit if kind == "full" else self.submit_simple
        left = iter(ids)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(in_flight, len(ids))):
                group.create_task(_submit_each(submit, left))


async def _submit_each(submit: Callable[[int], Awaitable[None]], ids: Iterator[int]) -> None:
    for job_id in ids:
        await submit(job_id)
