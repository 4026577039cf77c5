"""Deadlines that moved are looked at when they are due, and most transitions touch no index."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from services.queue import command as c
from services.queue.callbacks import Callbacks
from services.queue.domain import JobStatus
from services.queue.sweeper import Sweeper
from services.runtime.db import Connection
from tests.support import queue_play as play
from tests.support.postgres import MakeDatabase
from tests.support.queue_world import QueueWorld, open_world

START_S, RUN_S = 60, 300


@pytest.fixture
async def world(make_database: MakeDatabase) -> AsyncIterator[QueueWorld]:
    async with open_world(await make_database(["queue"])) as opened:
        yield opened


async def submitting(world: QueueWorld) -> UUID:
    job_id = await world.enqueue()
    (claimed,) = await world.claim()
    await world.transitions.run(c.BeginStart(job_id, 1, claimed.work.token_sha256, "", ()))
    return job_id


async def sweep(world: QueueWorld) -> None:
    await Sweeper(world.transitions, Callbacks(world.transitions), every_s=1).sweep()


async def check_in_s(world: QueueWorld) -> float:
    (row,) = await world.fetch("SELECT check_at FROM queue.jobs")
    return float((row["check_at"] - world.now).total_seconds())


async def test_a_later_deadline_is_left_to_an_earlier_look(world: QueueWorld) -> None:
    job_id = await submitting(world)
    assert await check_in_s(world) == START_S
    world.later(START_S)
    await sweep(world)
    assert await check_in_s(world) == RUN_S - START_S
    assert (await world.job(job_id)).status is JobStatus.STARTING


async def test_a_deadline_that_moved_is_kept_to_the_moment(world: QueueWorld) -> None:
    job_id = await submitting(world)
    world.later(START_S)
    await sweep(world)
    world.later(RUN_S - START_S - 1)
    await sweep(world)
    assert (await world.job(job_id)).status is JobStatus.STARTING
    world.later(1)
    await sweep(world)
    assert (await world.job(job_id)).error_class == "submit_unknown"


async def test_an_earlier_deadline_is_looked_at_no_later_than_it_is(world: QueueWorld) -> None:
    job_id = await submitting(world)
    await world.transitions.run(c.Accept(job_id, 1, "7", ()))
    await world.transitions.run(play.answer(job_id, 1, "success"))
    job = await world.job(job_id)
    assert job.deadline_at is not None
    world.now = job.deadline_at
    await sweep(world)
    assert (await world.job(job_id)).error_class == "output_unsavable"


async def test_what_waits_is_looked_at_when_its_wait_is_over(world: QueueWorld) -> None:
    await world.enqueue()
    assert await check_in_s(world) == 600


async def test_between_claim_and_end_no_version_of_a_job_needs_an_index(world: QueueWorld) -> None:
    job_id = await submitting(world)
    commands = (
        c.Accept(job_id, 1, "7", ()),
        play.callback(job_id, 1, world.now),
        play.answer(job_id, 1, "success"),
    )
    async with world.transitions.batch(0) as batch:
        before = await updates(batch.conn)
        for command in commands:
            await batch.apply([command])
        after = await updates(batch.conn)
    assert (after["all"] - before["all"], after["hot"] - before["hot"]) == (3, 3)


async def updates(conn: Connection) -> dict[str, int]:
    """Count this connection's updates of jobs that the server's totals do not hold yet."""
    row = await conn.fetchrow(
        "SELECT n_tup_upd AS all, n_tup_hot_upd AS hot FROM pg_stat_xact_user_tables "
        "WHERE relid = 'queue.jobs'::regclass"
    )
    assert row is not None
    return dict(row)
