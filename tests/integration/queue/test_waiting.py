"""Why a job waits, asked over gRPC, and held against what a claim then really does."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.queue import command as c
from services.queue.claim import Claimed
from services.queue.overview import Overview
from services.queue.waiting import Reason
from tests.support import queue_play as play
from tests.support.postgres import MakeDatabase
from tests.support.queue_server import QueueServer, serving
from tests.support.queue_world import QueueWorld, open_world


@pytest.fixture
async def world(make_database: MakeDatabase) -> AsyncIterator[QueueWorld]:
    async with open_world(await make_database(["queue"])) as opened:
        yield opened


@pytest.fixture
async def queue(world: QueueWorld) -> AsyncIterator[QueueServer]:
    async with serving(world) as server:
        yield server


async def refuse(world: QueueWorld, claimed: Claimed, name: str) -> None:
    work = claimed.work
    await world.transitions.run(
        c.Refuse(work.job_id, work.attempt, work.token_sha256, play.refusal(name), ())
    )


async def test_a_job_with_a_free_slot_is_next_in_line(queue: QueueServer) -> None:
    job = await queue.enqueue()
    why = await queue.client.queue.why_waiting(job.job_id)
    assert (why.reason, why.position) == ("NEXT_IN_LINE", 1)


async def test_the_first_in_line_learns_who_holds_the_slots(
    queue: QueueServer, world: QueueWorld
) -> None:
    held = [str(await world.enqueue()) for _ in range(3)]
    await world.claim()
    job = await queue.enqueue()
    why = await queue.client.queue.why_waiting(job.job_id)
    assert why.reason == "NO_FREE_SLOT"
    assert sorted(why.slot_holders) == sorted(held)
    assert all(holder in why.sentence_en for holder in held)
    assert "3 vagas estão ocupadas" in why.sentence_pt


async def test_a_later_job_learns_how_many_are_before_it(
    queue: QueueServer, world: QueueWorld
) -> None:
    for _ in range(5):
        await world.enqueue()
    await world.claim()
    job = await queue.enqueue()
    why = await queue.client.queue.why_waiting(job.job_id)
    assert (why.reason, why.position) == ("JOBS_AHEAD", 3)
    assert "2 jobs are ahead" in why.sentence_en
    assert "Há 2 jobs na frente" in why.sentence_pt


async def test_a_job_of_a_paused_tool_learns_that(queue: QueueServer) -> None:
    job = await queue.enqueue()
    await queue.client.operations.set_tool("upscaler", paused=True)
    why = await queue.client.queue.why_waiting(job.job_id)
    assert why.reason == "TOOL_PAUSED"
    assert "upscaler" in why.sentence_pt


async def test_a_job_between_attempts_learns_until_when(
    queue: QueueServer, world: QueueWorld
) -> None:
    job = await queue.enqueue()
    until = world.now + timedelta(seconds=90)
    await world.fetch("UPDATE queue.jobs SET not_before = $1", until)
    why = await queue.client.queue.why_waiting(job.job_id)
    assert why.reason == "BACKING_OFF"
    assert "12:01:30 UTC" in why.sentence_en


async def test_the_global_limit_is_told_from_a_lack_of_slots(make_database: MakeDatabase) -> None:
    async with open_world(await make_database(["queue"]), global_limit=1) as world:
        await world.enqueue()
        await world.claim()
        waiting = await world.enqueue()
        overview = Overview(world.pool, lambda: world.now, world.global_limit)
        answer = await overview.why_waiting(waiting)
    assert answer.why.reason is Reason.GLOBAL_LIMIT


async def test_a_full_account_tells_when_it_is_tried_again(
    queue: QueueServer, world: QueueWorld
) -> None:
    await queue.client.operations.set_account("second", paused=True)
    job = await queue.enqueue()
    (claimed,) = await world.claim()
    await refuse(world, claimed, "full")
    why = await queue.client.queue.why_waiting(job.job_id)
    assert why.reason == "ACCOUNTS_UNAVAILABLE"
    assert "primary is full at the provider and is tried again at" in why.sentence_en
    assert "second is paused (resume it)" in why.sentence_en


async def test_a_refused_key_tells_what_to_do(queue: QueueServer, world: QueueWorld) -> None:
    await queue.client.operations.set_account("second", slots=0)
    job = await queue.enqueue()
    (claimed,) = await world.claim()
    await refuse(world, claimed, "key")
    why = await queue.client.queue.why_waiting(job.job_id)
    assert why.reason == "ACCOUNTS_UNAVAILABLE"
    assert "set a valid key" in why.sentence_en
    assert "second has no slots" in why.sentence_en


async def test_a_probe_under_way_is_told(queue: QueueServer, world: QueueWorld) -> None:
    await queue.client.operations.set_account("second", paused=True)
    await queue.enqueue()
    (claimed,) = await world.claim()
    await refuse(world, claimed, "full")
    world.later(600)
    assert len(await world.claim()) == 1
    job = await queue.enqueue()
    why = await queue.client.queue.why_waiting(job.job_id)
    assert why.reason == "ACCOUNTS_UNAVAILABLE"
    assert "one job is probing it" in why.sentence_en


@pytest.mark.parametrize("seed", range(12))
async def test_next_in_line_is_said_of_exactly_the_jobs_that_a_claim_takes(
    make_database: MakeDatabase, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - a repeatable play
    dsn = await make_database(["queue"])
    limit = dice.choice([0, 0, 2, 4])
    accounts = {"a": 3, "b": 2, "c": 1}
    async with open_world(dsn, global_limit=limit, accounts=accounts) as world:
        await play_at_random(world, dice)
        overview = Overview(world.pool, lambda: world.now, limit)
        rows = await world.fetch("SELECT id FROM queue.jobs WHERE status = 'queued'")
        told = {row["id"]: await overview.why_waiting(row["id"]) for row in rows}
        taken = {claimed.work.job_id for claimed in await world.claim()}
    next_ones = {job_id for job_id, said in told.items() if said.why.reason == "NEXT_IN_LINE"}
    assert next_ones == taken


async def play_at_random(world: QueueWorld, dice: random.Random) -> None:
    """Leave accounts, tools and jobs in a state of any kind."""
    for _ in range(dice.randint(1, 5)):
        await world.enqueue(tool=dice.choice(["upscaler", "veste_ai"]))
    for claimed in await world.claim():
        fate = dice.choice(["hold", "hold", "full", "cancel"])
        if fate == "full":
            await refuse(world, claimed, "full")
        elif fate == "cancel":
            await world.transitions.run(c.AskCancel(claimed.work.job_id, ""))
    for _ in range(dice.randint(0, 5)):
        await world.enqueue(tool=dice.choice(["upscaler", "veste_ai"]))
    for query in (
        "UPDATE queue.tools SET paused = $1 WHERE name = 'veste_ai'",
        "UPDATE queue.accounts SET paused = $1 WHERE name = 'b'",
    ):
        await world.fetch(query, dice.random() < 0.3)
    await world.fetch("UPDATE queue.accounts SET slots = $1 WHERE name = 'a'", dice.randint(0, 3))
    await world.fetch(
        "UPDATE queue.jobs SET not_before = $1 WHERE status = 'queued' AND enqueue_seq % 4 = $2",
        world.now + timedelta(seconds=30),
        dice.randint(0, 3),
    )
    world.later(dice.choice([0, 20, 600]))
