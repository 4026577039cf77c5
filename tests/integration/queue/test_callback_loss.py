"""Callback loss by account: who counts, what is late and what is lost."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest

from services.queue import command as c
from services.queue.account import AccountSettings, CallbackLoss
from services.queue.callbacks import Callbacks, ReportedCallback
from services.queue.operations import Operations
from services.runtime.ids import new_id
from tests.support import queue_play as play
from tests.support.postgres import MakeDatabase
from tests.support.queue_world import QueueWorld, open_world

NOTHING = CallbackLoss()
MINUTE = 60
HOUR = 60 * MINUTE


@pytest.fixture
async def world(make_database: MakeDatabase) -> AsyncIterator[QueueWorld]:
    async with open_world(await make_database(["queue"]), accounts={"primary": 9}) as opened:
        yield opened
        await opened.check()


async def start(world: QueueWorld, task_id: str = "7") -> tuple[UUID, int, bytes]:
    """Bring a waiting job to accepted; return it with its attempt and the hash of its token."""
    (claimed,) = await world.claim()
    work = claimed.work
    await world.transitions.run(c.BeginStart(work.job_id, work.attempt, work.token_sha256, "", []))
    await world.transitions.run(c.Accept(work.job_id, work.attempt, task_id, []))
    return work.job_id, work.attempt, work.token_sha256


async def end(world: QueueWorld, job_id: UUID, how: str = "oom") -> None:
    await world.transitions.run(play.answer(job_id, 1, how))
    if how == "success":
        await world.transitions.run(c.SaveOutputs(job_id, 1, [play.OUTPUT]))


async def call_back(world: QueueWorld, token_sha256: bytes) -> None:
    digest = hashlib.sha256(b"body").digest()
    reported = ReportedCallback(
        new_id(), token_sha256, digest, world.now, "TASK_END", "7", "FAILED", False, ""
    )
    await Callbacks(world.transitions).report([reported])


async def loss(world: QueueWorld, account: str = "primary") -> CallbackLoss:
    listed = await Operations(world.pool, lambda: world.now).list_accounts()
    return {each.name: each.loss for each in listed}[account]


@pytest.mark.parametrize("how", ["success", "oom", "empty"])
async def test_an_attempt_ended_by_poll_without_any_callback_is_lost(
    world: QueueWorld, how: str
) -> None:
    await world.enqueue()
    job_id, _, _ = await start(world)
    if how == "empty":
        await end(world, job_id, how)
    await end(world, job_id, how)
    world.later(10 * MINUTE)
    assert await loss(world) == CallbackLoss(ended_attempts=1, without_callback=1)


async def test_an_attempt_that_was_called_back_is_not_lost(world: QueueWorld) -> None:
    await world.enqueue()
    job_id, _, token = await start(world)
    await call_back(world, token)
    await end(world, job_id)
    world.later(10 * MINUTE)
    assert await loss(world) == CallbackLoss(ended_attempts=1, without_callback=0)


async def test_nothing_is_called_lost_while_it_may_still_be_delivered(world: QueueWorld) -> None:
    await world.enqueue()
    job_id, _, _ = await start(world)
    await end(world, job_id)
    world.later(4 * MINUTE)
    assert await loss(world) == NOTHING


async def test_a_callback_that_comes_late_was_not_lost(world: QueueWorld) -> None:
    await world.enqueue()
    job_id, _, token = await start(world)
    await end(world, job_id)
    world.later(HOUR)
    assert await loss(world) == CallbackLoss(1, 1)
    await call_back(world, token)
    assert await loss(world) == CallbackLoss(1, 0)


async def test_a_late_callback_of_an_overtaken_attempt_was_not_lost(world: QueueWorld) -> None:
    await world.enqueue()
    job_id, _, token = await start(world)
    await end(world, job_id, "infra")
    world.later(10 * MINUTE)
    job_id, attempt, _ = await start(world, "8")
    assert attempt == 2
    await call_back(world, token)
    assert await loss(world) == CallbackLoss(1, 0)


async def test_what_is_not_ended_by_the_provider_itself_does_not_count(world: QueueWorld) -> None:
    for _ in range(2):
        await world.enqueue()
    first, second = [claimed.work for claimed in await world.claim()]
    await world.transitions.run(c.AskCancel(first.job_id, ""))
    begin = c.BeginStart(second.job_id, 1, second.token_sha256, "", [])
    await world.transitions.run(begin)
    refusal = play.refusal("node")
    await world.transitions.run(c.Refuse(second.job_id, 1, second.token_sha256, refusal, []))
    await world.enqueue()
    stopped, _, _ = await start(world)
    await world.transitions.run(c.AskCancel(stopped, ""))
    await end(world, stopped, "cancelled")
    await world.enqueue()
    await start(world, "still running")
    world.later(10 * MINUTE)
    assert await loss(world) == NOTHING


async def test_where_no_callback_is_asked_for_none_is_lost(make_database: MakeDatabase) -> None:
    async with open_world(await make_database(["queue"]), accounts={"primary": 9}) as world:
        deaf = replace(world.policy, callbacks_expected=False)
        world = QueueWorld(world.pool, deaf, world.blobs)
        await world.enqueue()
        job_id, _, _ = await start(world)
        await end(world, job_id)
        world.later(10 * MINUTE)
        assert await loss(world) == NOTHING


async def test_the_figure_is_of_the_last_day(world: QueueWorld) -> None:
    await world.enqueue()
    job_id, _, _ = await start(world)
    await end(world, job_id)
    world.later(23 * HOUR)
    assert (await loss(world)).without_callback == 1
    world.later(2 * HOUR)
    assert await loss(world) == NOTHING


async def test_each_account_has_its_own_figure_also_when_it_is_set(world: QueueWorld) -> None:
    operations = Operations(world.pool, lambda: world.now)
    await world.enqueue()
    job_id, _, _ = await start(world)
    await end(world, job_id)
    world.later(10 * MINUTE)
    other = AccountSettings("other", "https://p", "k", slots=2)
    assert (await operations.set_account(other)).loss == NOTHING
    paused = await operations.set_account(AccountSettings("primary", paused=True))
    assert paused.loss == await loss(world) == CallbackLoss(1, 1)
