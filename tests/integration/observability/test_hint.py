"""Hints go on being sent and heard, whatever happens to a single turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from services.observability.feed_loop import FeedLoop
from services.observability.hint import Hints
from services.runtime.db import Pool, open_pool
from tests.support.postgres import MakeDatabase


class WatchedFeed(FeedLoop):
    """A feed that somebody watches; `hinted` is set by its turns."""

    def __init__(self) -> None:
        super().__init__("test", poll_s=60)
        self.hinted = asyncio.Event()
        self.first_watcher.set()

    @property
    def is_watched(self) -> bool:
        return True

    async def turn(self, *, is_poll: bool) -> None:
        return

    def hint(self) -> None:
        self.hinted.set()


@asynccontextmanager
async def breaking_once(dsn: str) -> AsyncIterator[Pool]:
    """Open a real pool whose first connection meets an error that nobody foresaw."""
    errors = [RuntimeError("an error of ours")]

    async def init(_conn: Any) -> None:
        if errors:
            raise errors.pop()

    pool = await asyncpg.create_pool(dsn, min_size=0, max_size=2, init=init)
    try:
        yield pool
        assert not errors
    finally:
        pool.terminate()


async def hint_until_heard(sender: Hints, feed: WatchedFeed) -> None:
    async with asyncio.timeout(20):
        while not feed.hinted.is_set():
            sender.send()
            with suppress(TimeoutError):
                await asyncio.wait_for(feed.hinted.wait(), 0.1)


async def test_hints_are_sent_after_a_turn_that_broke(make_database: MakeDatabase) -> None:
    dsn = await make_database(["observability"])
    feed = WatchedFeed()
    listening = await open_pool(dsn, "test")
    async with breaking_once(dsn) as pool, asyncio.TaskGroup() as tasks:
        sender = Hints(pool, ())
        loops = [
            tasks.create_task(sender.run_sender()),
            tasks.create_task(Hints(listening, (feed,)).run_listener()),
        ]
        await hint_until_heard(sender, feed)
        for loop in loops:
            loop.cancel()
    await listening.close()


async def test_hints_are_heard_after_a_turn_that_broke(make_database: MakeDatabase) -> None:
    dsn = await make_database(["observability"])
    feed = WatchedFeed()
    sending = await open_pool(dsn, "test")
    async with breaking_once(dsn) as pool, asyncio.TaskGroup() as tasks:
        sender = Hints(sending, ())
        loops = [
            tasks.create_task(sender.run_sender()),
            tasks.create_task(Hints(pool, (feed,)).run_listener()),
        ]
        await hint_until_heard(sender, feed)
        for loop in loops:
            loop.cancel()
    await sending.close()
