"""What nobody told a process of is found by its lookout, and only those concerned are woken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import fields
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.queue import command as c
from services.queue.callbacks import Callbacks, ReportedCallback
from services.queue.domain import JobStatus
from services.queue.lookout import Lookout, Sleepers
from services.runtime.ids import new_id
from tests.support import queue_play as play
from tests.support.emulator import KEY, EmulatorHandle, running_emulator
from tests.support.postgres import MakeDatabase
from tests.support.queue_process import FAST, running_queue
from tests.support.queue_world import QueueWorld, open_world
from tests.support.waiting import eventually

LOOPS = [field.name for field in fields(Sleepers)]
# Longer than any test: who wakes then was woken.
NEVER_S = 3600


@pytest.fixture
async def world(make_database: MakeDatabase) -> AsyncIterator[QueueWorld]:
    async with open_world(await make_database(["queue"])) as opened:
        yield opened


async def woken(world: QueueWorld) -> set[str]:
    """Look once, as a process that was told of nothing; return who was woken."""
    found: list[str] = []
    sleepers = Sleepers(**{name: partial(found.append, name) for name in LOOPS})
    await Lookout(world.transitions, sleepers, every_s=1).look()
    return set(found)


async def has_ended(emulator: EmulatorHandle, runs: int) -> bool:
    return len(await emulator.admin.events("run_ended")) == runs


async def tell_all(world: QueueWorld) -> None:
    await world.fetch("DELETE FROM queue.outbox")


async def test_nobody_is_woken_where_there_is_nothing_to_do(world: QueueWorld) -> None:
    assert await woken(world) == set()


async def test_a_job_that_waits_and_events_untold_wake_dispatcher_and_relay(
    world: QueueWorld,
) -> None:
    await world.enqueue()
    assert await woken(world) == {"dispatcher", "relay"}
    await tell_all(world)
    assert await woken(world) == {"dispatcher"}


async def test_a_deadline_wakes_the_sweeper_when_it_has_passed(world: QueueWorld) -> None:
    await world.create()
    await tell_all(world)
    world.later(59)
    assert await woken(world) == set()
    world.later(1)
    assert await woken(world) == {"sweeper"}


async def test_a_lease_that_ran_out_wakes_those_who_take_over(world: QueueWorld) -> None:
    await world.enqueue()
    await world.claim()
    await tell_all(world)
    assert await woken(world) == set()
    world.later(world.policy.lease_s)
    assert await woken(world) == {"finisher", "sweeper"}


async def test_a_question_that_is_due_wakes_the_reconciler(world: QueueWorld) -> None:
    job_id = await world.enqueue()
    (claimed,) = await world.claim()
    run = world.transitions.run
    await run(c.BeginStart(job_id, 1, claimed.work.token_sha256, "", ()))
    await run(c.Accept(job_id, 1, "7", ()))
    await tell_all(world)
    assert await woken(world) == set()
    await run(play.callback(job_id, 1, world.now))
    await tell_all(world)
    assert await woken(world) == {"reconciler"}


async def test_a_callback_that_matched_nothing_yet_wakes_the_sweeper(world: QueueWorld) -> None:
    report = ReportedCallback(
        new_id(), b"\0" * 32, b"\0" * 32, world.now, "TASK_END", "7", "SUCCESS", True, ""
    )
    await Callbacks(world.transitions).report([report])
    assert await woken(world) == {"sweeper"}


async def test_the_lookout_goes_on_after_a_turn_that_broke(world: QueueWorld) -> None:
    found: list[str] = []
    sleepers = Sleepers(**{name: partial(found.append, name) for name in LOOPS})
    await world.enqueue()
    await world.fetch("ALTER TABLE queue.attempts RENAME lease_until TO hidden")
    with capture_logs() as lines:
        task = asyncio.create_task(Lookout(world.transitions, sleepers, every_s=0.01).run())
        try:

            async def is_broken() -> bool:
                return any(line["event"] == "look_broke" for line in lines)

            await eventually(is_broken)
            await world.fetch("ALTER TABLE queue.attempts RENAME hidden TO lease_until")

            async def is_woken() -> bool:
                return "dispatcher" in found

            await eventually(is_woken)
        finally:
            task.cancel()


async def test_what_found_no_room_goes_on_as_soon_as_there_is_some(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    """No poll and no lookout helps here: only a look that came back short ends in a wait."""
    async with (
        running_emulator(tmp_path / "emulator") as emulator,
        open_world(await make_database(["queue"]), FAST) as world,
    ):
        await world.fetch(
            "UPDATE queue.accounts SET base_url = $1, api_key = $2", emulator.base_url, KEY
        )
        async with running_queue(world, tmp_path, poll_s=NEVER_S, at_once=1) as process:
            job_ids = [await process.run() for _ in range(3)]
            jobs = [await process.until(job_id, "running") for job_id in job_ids]
            assert {job.status for job in jobs} == {JobStatus.RUNNING}
            await eventually(partial(has_ended, emulator, 3))
            # All are due at the same time, and there is room for one question.
            await world.fetch("UPDATE queue.attempts SET next_poll_at = now()")
            process.reconciler.wake()
            jobs = [await process.until(job_id) for job_id in job_ids]
    assert {job.status for job in jobs} == {JobStatus.COMPLETED}
