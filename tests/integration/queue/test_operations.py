"""Accounts and tools over gRPC and at start-up: what may be set, and what claims make of it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from etapa.queue.v1 import operations_pb2
from etapa_client import errors
from services.queue import command as c
from services.queue.account import AccountSettings, AccountView
from services.queue.operations import Operations
from tests.support import queue_play as play
from tests.support.announcement import announcement
from tests.support.postgres import MakeDatabase
from tests.support.queue_server import QueueServer, serving
from tests.support.queue_world import QueueWorld, open_world

URL = "https://www.runninghub.ai"


@pytest.fixture
async def world(make_database: MakeDatabase) -> AsyncIterator[QueueWorld]:
    async with open_world(await make_database(["queue"]), accounts={"primary": 3}) as opened:
        yield opened
        await opened.check()


@pytest.fixture
async def queue(world: QueueWorld) -> AsyncIterator[QueueServer]:
    async with serving(world) as server:
        yield server


@pytest.fixture
async def operations(world: QueueWorld) -> Operations:
    return Operations(world.pool, lambda: world.now)


async def set_health(world: QueueWorld, health: str) -> None:
    await world.fetch("UPDATE queue.accounts SET health = $1, last_error = 'words'", health)


async def test_accounts_are_listed_without_their_keys(queue: QueueServer) -> None:
    (account,) = await queue.client.operations.list_accounts()
    assert (account.name, account.slots, account.held) == ("primary", 3, 0)
    assert account.health == operations_pb2.ACCOUNT_HEALTH_OK
    assert "key-primary" not in str(account)


def test_a_view_of_an_account_has_no_place_for_a_key() -> None:
    assert not [f.name for f in dataclasses.fields(AccountView) if "key" in f.name]


async def test_a_new_account_needs_all_its_settings(queue: QueueServer) -> None:
    with pytest.raises(errors.AccountNotFoundError):
        await queue.client.operations.set_account("new", slots=3)
    made = await queue.client.operations.set_account("new", base_url=URL, api_key="k", slots=2)
    assert (made.name, made.slots, made.base_url) == ("new", 2, URL)


async def test_a_new_account_takes_jobs(queue: QueueServer, world: QueueWorld) -> None:
    await queue.client.operations.set_account("primary", slots=0)
    await queue.client.operations.set_account("new", base_url=URL, api_key="k", slots=2)
    for _ in range(3):
        await world.enqueue()
    assert [claimed.work.account for claimed in await world.claim()] == ["new", "new"]


async def test_what_is_not_set_stays(queue: QueueServer, world: QueueWorld) -> None:
    await queue.client.operations.set_account("primary", paused=True)
    (row,) = await world.fetch("SELECT base_url, api_key, slots, paused FROM queue.accounts")
    assert tuple(row) == ("http://127.0.0.1:1", "key-primary", 3, True)


async def test_a_paused_account_takes_no_job_until_resumed(
    queue: QueueServer, world: QueueWorld
) -> None:
    await world.enqueue()
    await queue.client.operations.set_account("primary", paused=True)
    assert not await world.claim()
    await queue.client.operations.set_account("primary", paused=False)
    assert len(await world.claim()) == 1


async def test_a_key_is_neither_answered_nor_logged(queue: QueueServer) -> None:
    with capture_logs() as logs:
        account = await queue.client.operations.set_account("primary", api_key="s3cret-key-9")
    assert "s3cret-key-9" not in f"{logs}{account}"


async def test_growing_opens_slots_at_once(queue: QueueServer, world: QueueWorld) -> None:
    for _ in range(6):
        await world.enqueue()
    await world.claim()
    await queue.client.operations.set_account("primary", slots=5)
    assert len(await world.claim()) == 2


async def test_shrinking_starts_nothing_until_enough_slots_are_freed(
    queue: QueueServer, world: QueueWorld
) -> None:
    for _ in range(6):
        await world.enqueue()
    held = await world.claim()
    account = await queue.client.operations.set_account("primary", slots=2)
    assert (account.slots, account.held) == (2, 3)
    counts = []
    for claimed in held[:2]:
        await world.transitions.run(c.AskCancel(claimed.work.job_id, ""))
        counts.append(len(await world.claim()))
    assert counts == [0, 1]


async def test_a_slot_given_back_while_its_account_shrinks_is_free_again(
    world: QueueWorld, operations: Operations
) -> None:
    for _ in range(3):
        await world.enqueue()
    held = await world.claim()
    await asyncio.gather(
        operations.set_account(AccountSettings("primary", slots=1)),
        *(world.transitions.run(c.AskCancel(each.work.job_id, "")) for each in held),
    )
    assert not await world.fetch("SELECT 1 FROM queue.slots WHERE job_id IS NOT NULL")
    for _ in range(3):
        await world.enqueue()
    assert len(await world.claim()) == 1


async def test_an_account_without_slots_takes_nothing(
    queue: QueueServer, world: QueueWorld
) -> None:
    await queue.client.operations.set_account("primary", slots=0)
    await world.enqueue()
    assert not await world.claim()


@pytest.mark.parametrize(
    ("health", "fields", "is_ok"),
    [
        ("unauthorized", {"api_key": "key-primary"}, True),
        ("unauthorized", {"slots": 3}, False),
        ("no_money", {"api_key": "key-primary"}, False),
        ("no_money", {"api_key": "another"}, True),
        ("no_money", {"reset_health": True}, True),
        ("unauthorized", {"reset_health": True}, True),
    ],
)
async def test_what_makes_an_account_healthy_again(
    queue: QueueServer, world: QueueWorld, health: str, fields: dict[str, Any], is_ok: bool
) -> None:
    await set_health(world, health)
    account = await queue.client.operations.set_account("primary", **fields)
    assert (account.health == operations_pb2.ACCOUNT_HEALTH_OK) is is_ok
    assert (account.last_error == "") is is_ok


async def test_start_up_makes_accounts_and_repeats_itself_harmlessly(
    world: QueueWorld, operations: Operations
) -> None:
    text = f'[{{"name":"new","base_url":"{URL}/","api_key":"k","slots":2}}]'
    await operations.load_accounts(text)
    await set_health(world, "unauthorized")
    await world.fetch("UPDATE queue.accounts SET paused = true WHERE name = 'new'")
    await operations.load_accounts(text)
    accounts = {account.name: account for account in await operations.list_accounts()}
    assert set(accounts) == {"new", "primary"}
    new = accounts["new"]
    assert (new.base_url, new.slots, new.paused, new.health) == (URL, 2, True, "unauthorized")


async def test_start_up_with_another_key_makes_the_account_healthy(
    world: QueueWorld, operations: Operations
) -> None:
    await set_health(world, "unauthorized")
    await operations.load_accounts(
        '[{"name":"primary","base_url":"http://127.0.0.1:1","api_key":"fresh","slots":3}]'
    )
    (account,) = await operations.list_accounts()
    assert account.health == "ok"


async def test_two_processes_start_with_the_same_accounts(
    world: QueueWorld, operations: Operations
) -> None:
    text = f'[{{"name":"new","base_url":"{URL}","api_key":"k","slots":20}}]'
    await asyncio.gather(*(operations.load_accounts(text) for _ in range(4)))
    (row,) = await world.fetch("SELECT count(*) AS n FROM queue.slots WHERE account = 'new'")
    assert row["n"] == 20


async def test_who_opens_slots_wakes_the_dispatcher(world: QueueWorld) -> None:
    woken = []
    operations = Operations(world.pool, lambda: world.now, lambda: woken.append(1))
    await operations.set_account(AccountSettings("primary", slots=5))
    await operations.set_tool("upscaler", paused=False)
    assert len(woken) == 2


async def test_a_paused_tool_is_passed_over_until_resumed(
    queue: QueueServer, world: QueueWorld
) -> None:
    first, second = await world.enqueue(), await world.enqueue(tool="veste_ai")
    await queue.client.operations.set_tool("upscaler", paused=True)
    assert [claimed.work.job_id for claimed in await world.claim()] == [second]
    await queue.client.operations.set_tool("upscaler", paused=False)
    assert [claimed.work.job_id for claimed in await world.claim()] == [first]


async def test_a_tool_that_was_never_announced_can_not_be_paused(queue: QueueServer) -> None:
    with pytest.raises(errors.ToolNotFoundError):
        await queue.client.operations.set_tool("nothing", paused=True)


async def test_an_announced_tool_takes_jobs_at_its_price(queue: QueueServer) -> None:
    await queue.client.operations.announce_tools([announcement("bg_remover", 10)])
    job = await queue.client.queue.get_job(await queue.create(tool="bg_remover"))
    assert job.cost == 10


async def test_a_new_price_holds_for_new_jobs_only(queue: QueueServer) -> None:
    old = await queue.create()
    await queue.client.operations.announce_tools([announcement(price=70)])
    new = await queue.create()
    jobs = [await queue.client.queue.get_job(job_id) for job_id in (old, new)]
    assert [job.cost for job in jobs] == [60, 70]


async def test_an_announcement_removes_nothing_and_keeps_what_operators_set(
    queue: QueueServer, world: QueueWorld
) -> None:
    await queue.client.operations.set_tool("upscaler", paused=True)
    await queue.client.operations.announce_tools([announcement()])
    rows = await world.fetch("SELECT name, paused FROM queue.tools ORDER BY name")
    assert [tuple(row) for row in rows] == [("upscaler", True), ("veste_ai", False)]


async def test_repeated_announcements_write_nothing(queue: QueueServer, world: QueueWorld) -> None:
    await queue.client.operations.announce_tools([announcement()])
    query = "SELECT xmin::text FROM queue.tools WHERE name = 'upscaler'"
    before = await world.fetch(query)
    await queue.client.operations.announce_tools([announcement()])
    assert await world.fetch(query) == before


async def test_announcements_from_many_processes_do_not_block_each_other(
    queue: QueueServer,
) -> None:
    tools = [announcement(f"tool_{n}", 1) for n in range(20)]
    await asyncio.gather(
        *(queue.client.operations.announce_tools(tools if n % 2 else tools[::-1]) for n in range(8))
    )


async def test_a_view_of_another_tool_is_refused_and_changes_nothing(
    queue: QueueServer, world: QueueWorld
) -> None:
    taken = announcement()
    taken.view = "veste_ai_jobs"
    with pytest.raises(errors.InvalidInputError) as refused:
        await queue.client.operations.announce_tools([announcement("good"), taken])
    assert refused.value.field == "tools.view"
    assert not await world.fetch("SELECT 1 FROM queue.tools WHERE name = 'good'")


async def test_a_wrong_setting_changes_nothing(queue: QueueServer, world: QueueWorld) -> None:
    before = await world.fetch("SELECT xmin::text FROM queue.accounts")
    with pytest.raises(errors.InvalidInputError) as refused:
        await queue.client.operations.set_account("primary", slots=1001)
    assert refused.value.field == "slots"
    assert await world.fetch("SELECT xmin::text FROM queue.accounts") == before


async def test_a_full_account_is_listed_with_its_rest(
    queue: QueueServer, world: QueueWorld
) -> None:
    await world.enqueue()
    (claimed,) = await world.claim()
    work = claimed.work
    await world.transitions.run(
        c.Refuse(work.job_id, 1, work.token_sha256, play.refusal("full"), [play.payload()])
    )
    (account,) = await queue.client.operations.list_accounts()
    assert account.health == operations_pb2.ACCOUNT_HEALTH_FULL
    assert account.rests_until.ToDatetime() > world.now.replace(tzinfo=None)
    assert account.last_error


@pytest.mark.parametrize("tool", ["", "a\x00", "t" * 129])
async def test_a_tool_of_no_possible_name_is_refused(queue: QueueServer, tool: str) -> None:
    with pytest.raises(errors.InvalidInputError):
        await queue.client.operations.set_tool(tool, paused=True)
