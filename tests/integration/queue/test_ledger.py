"""Credits over gRPC: grants are exact and idempotent, lists are whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from etapa.queue.v1 import credits_pb2
from etapa_client import errors
from services.queue import command as c
from services.queue.ledger import Grant, Ledger
from tests.support.postgres import MakeDatabase
from tests.support.queue_server import QueueServer, serving
from tests.support.queue_world import QueueWorld, open_world


@pytest.fixture
async def world(make_database: MakeDatabase) -> AsyncIterator[QueueWorld]:
    async with open_world(await make_database(["queue"]), users=()) as opened:
        yield opened
        await opened.check()


@pytest.fixture
async def queue(world: QueueWorld) -> AsyncIterator[QueueServer]:
    async with serving(world) as server:
        yield server


async def grant(queue: QueueServer, request_id: str, amount: int, bucket: str = "") -> Any:
    return await queue.client.credits.grant_credits(
        request_id=request_id, user_id="ana", amount=amount, bucket=bucket
    )


async def test_a_user_never_seen_has_nothing(queue: QueueServer) -> None:
    balance = await queue.client.credits.get_balance("nobody")
    assert (balance.available, balance.reserved, len(balance.balances)) == (0, 0, 0)


async def test_a_grant_adds_to_its_bucket(queue: QueueServer) -> None:
    granted = await grant(queue, "a", 100)
    assert (granted.entry.bucket, granted.entry.amount, granted.available) == ("lifetime", 100, 100)
    assert (granted.entry.debit, granted.entry.credit) == ("issuance", "available")
    assert (await grant(queue, "b", 20, "monthly")).available == 120
    balance = await queue.client.credits.get_balance("ana")
    assert [(each.bucket, each.available) for each in balance.balances] == [
        ("monthly", 20),
        ("lifetime", 100),
    ]


async def test_a_repeated_grant_adds_nothing(queue: QueueServer) -> None:
    first = await grant(queue, "a", 100)
    again = await grant(queue, "a", 100)
    assert again.entry == first.entry
    assert again.available == 100


@pytest.mark.parametrize(("amount", "bucket"), [(101, ""), (100, "monthly")])
async def test_a_request_id_with_another_grant_is_refused(
    queue: QueueServer, amount: int, bucket: str
) -> None:
    await grant(queue, "a", 100)
    with pytest.raises(errors.RequestIdReusedError):
        await grant(queue, "a", amount, bucket)


async def test_the_same_request_id_of_two_users_is_two_grants(queue: QueueServer) -> None:
    for user_id in ("ana", "bia"):
        await queue.client.credits.grant_credits(request_id="a", user_id=user_id, amount=1)
    assert (await queue.client.credits.get_balance("bia")).available == 1


async def test_grants_at_the_same_time_are_each_counted_once(world: QueueWorld) -> None:
    ledgers = [Ledger(world.pool, lambda: world.now) for _ in range(2)]
    wishes = [Grant(str(n % 40), "ana", ("monthly", "lifetime")[n % 2], 3) for n in range(80)]
    await asyncio.gather(*(ledger.grant(wish) for ledger in ledgers for wish in wishes))
    balances = await ledgers[0].balances("ana")
    assert sum(balance.available for balance in balances) == 40 * 3


async def test_one_refused_grant_takes_no_neighbour_along(world: QueueWorld) -> None:
    ledger = Ledger(world.pool, lambda: world.now)
    wishes = [Grant("a", "ana", "lifetime", 1), Grant("a", "ana", "lifetime", 2)]
    wishes.append(Grant("b", "ana", "lifetime", 4))
    results = await asyncio.gather(*map(ledger.grant, wishes), return_exceptions=True)
    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    assert sum(each.available for each in await ledger.balances("ana")) == 5


async def test_a_job_s_charge_is_listed_by_job_and_by_user(
    queue: QueueServer, world: QueueWorld
) -> None:
    await grant(queue, "a", 100)
    job_id = await world.enqueue()
    await world.transitions.run(c.AskCancel(job_id, ""))
    of_job = await queue.client.credits.list_ledger(job_id=str(job_id))
    of_user = await queue.client.credits.list_ledger(user_id="ana")
    of_other = await queue.client.credits.list_ledger(user_id="bia", job_id=str(job_id))
    kinds = [credits_pb2.LEDGER_KIND_REFUND, credits_pb2.LEDGER_KIND_RESERVE]
    assert [entry.kind for entry in of_job.entries] == kinds
    assert [entry.kind for entry in of_user.entries] == [*kinds, credits_pb2.LEDGER_KIND_GRANT]
    assert not of_other.entries


async def test_reserved_credits_can_not_be_spent(queue: QueueServer, world: QueueWorld) -> None:
    await grant(queue, "a", 100)
    await world.enqueue()
    balance = await queue.client.credits.get_balance("ana")
    assert (balance.available, balance.reserved) == (40, 60)


async def test_the_ledger_goes_through_all_pages_newest_first(queue: QueueServer) -> None:
    ids = [(await grant(queue, str(n), 1)).entry.entry_id for n in range(5)]
    seen, token = [], ""
    while True:
        page = await queue.client.credits.list_ledger(user_id="ana", page_size=2, page_token=token)
        seen += [entry.entry_id for entry in page.entries]
        if not (token := page.next_page_token):
            break
    assert seen == ids[::-1]


async def test_a_wrong_page_is_refused(queue: QueueServer) -> None:
    for fields in ({"page_size": 501}, {"page_token": "x"}):
        with pytest.raises(errors.InvalidInputError):
            await queue.client.credits.list_ledger(user_id="ana", **fields)
