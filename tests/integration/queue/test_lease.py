"""Leases are kept for as long as the work goes on, whatever happens to a single turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from services.queue.lease import LeaseKeeper
from services.queue.policy import Policy
from tests.support.postgres import MakeDatabase
from tests.support.queue_world import QueueWorld, open_world
from tests.support.waiting import eventually

QUICK = Policy(lease_s=0.15)


@pytest.fixture
async def world(make_database: MakeDatabase) -> AsyncIterator[QueueWorld]:
    async with open_world(await make_database(["queue"]), QUICK) as opened:
        yield opened


async def test_a_lease_is_renewed_after_a_turn_that_broke(world: QueueWorld) -> None:
    await world.enqueue()
    (claimed,) = await world.claim()
    world.later(60)
    keeper = LeaseKeeper(world.transitions)
    # Neither away nor foreseen: the statement itself is refused.
    await world.fetch("ALTER TABLE queue.attempts RENAME lease_until TO hidden")

    async def is_renewed() -> bool:
        rows = await world.fetch("SELECT lease_until FROM queue.attempts")
        return bool(rows[0][0] == world.now + timedelta(seconds=QUICK.lease_s))

    async def is_broken() -> bool:
        return any(line["event"] == "lease_renewal_broke" for line in lines) or task.done()

    with capture_logs() as lines, keeper.hold(claimed.work.job_id, 1):
        task = asyncio.create_task(keeper.run())
        try:
            await eventually(is_broken)
            await world.fetch("ALTER TABLE queue.attempts RENAME hidden TO lease_until")
            await eventually(is_renewed)
        finally:
            task.cancel()
