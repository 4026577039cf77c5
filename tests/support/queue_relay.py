"""A relay at work on a world's outbox, and a job that leaves every kind of event in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from etapa_client.client import EtapaClient
from services.queue import command as c
from services.queue.event_stream import EventStream
from services.queue.relay import Relay
from services.runtime.ids import new_id
from tests.support import queue_play as play
from tests.support.queue_world import QueueWorld
from tests.support.waiting import eventually


@asynccontextmanager
async def relaying(
    world: QueueWorld, address: str, processes: int = 1, ack_timeout_s: float = 30
) -> AsyncIterator[Relay]:
    async with EtapaClient(observability=address) as client:
        relays = [
            Relay(
                world.transitions,
                EventStream(client.intake, ack_timeout_s=ack_timeout_s),
                poll_s=0.05,
            )
            for _ in range(processes)
        ]
        tasks = [asyncio.create_task(relay.run()) for relay in relays]
        try:
            yield relays[0]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def run_job(world: QueueWorld) -> UUID:
    """Play a job from start to end, with all kinds of events."""
    job_id = await world.enqueue()
    claimed = next(each for each in await world.claim() if each.work.job_id == job_id)
    run = world.transitions.run
    await run(c.BeginStart(job_id, 1, claimed.work.token_sha256, "", [request_payload()]))
    await run(c.Accept(job_id, 1, "7", [play.payload()]))
    await run(play.callback(job_id, 1, world.now))
    for _ in range(3):
        await run(play.answer(job_id, 1, "running"))
    await run(play.answer(job_id, 1, "success"))
    await run(c.SaveOutputs(job_id, 1, [play.OUTPUT]))
    return job_id


def request_payload() -> c.Payload:
    info = {
        "kind": "request",
        "call": "start",
        "exchange_id": str(new_id()),
        "attempt": 1,
        "method": "POST",
        "url": "https://p/start",
        "headers": [["Authorization", "Bearer ***"]],
        "occurred_at": "2026-11-24T12:00:00.123456+00:00",
        "latency_s": 1.25,
        "bytes": 7,
        "sha256": "ab" * 32,
        "masked": [[2, 5]],
    }
    return c.Payload(new_id(), info, b"a***b\x00\xff")


async def is_empty(world: QueueWorld) -> bool:
    return not await world.fetch("SELECT 1 FROM queue.outbox LIMIT 1")


async def emptied(world: QueueWorld) -> None:
    await eventually(lambda: is_empty(world))
