"""A crew works on what it finds and on what commits hand it, never on more than it may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from services.queue.crew import Crew
from services.runtime.db import AWAY_ERRORS

# Longer than any test: who looks then was woken.
NEVER_S = 3600


@dataclass
class Yard:
    """Items to be found, and the work on each, which a test ends."""

    most: int = 2
    waiting: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    looks: int = 0
    broken: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.crew: Crew[str] = Crew(
            self._find, self._work, name="yard", most=self.most, poll_s=NEVER_S
        )
        self.stop = asyncio.Event()

    async def _find(self, most: int) -> Sequence[str]:
        self.looks += 1
        if self.broken:
            raise self.broken.pop()
        found, self.waiting = self.waiting[:most], self.waiting[most:]
        return found

    async def _work(self, item: str) -> None:
        self.begun.append(item)
        await self.ended.wait()


@asynccontextmanager
async def working(yard: Yard) -> AsyncIterator[asyncio.Task[None]]:
    """Run the crew; whatever is under way ends with the block."""
    running = asyncio.create_task(yard.crew.run(yard.stop))
    await until(lambda: yard.looks > 0)
    try:
        yield running
    finally:
        yard.stop.set()
        yard.ended.set()
        yard.crew.wake()
        await asyncio.wait_for(running, 10)


async def test_it_finds_no_more_than_it_may_have_under_way() -> None:
    yard = Yard(waiting=["a", "b", "c"])
    async with working(yard):
        await until(lambda: yard.begun == ["a", "b"])
        yard.crew.wake()
        assert yard.waiting == ["c"]
        yard.ended.set()
        await until(lambda: yard.begun == ["a", "b", "c"])


async def test_what_a_commit_takes_begins_when_it_is_over() -> None:
    yard = Yard()
    async with working(yard):
        with yard.crew.seats(5) as seats:
            assert seats.room == 2
            seats.items.append("taken")
            await asyncio.sleep(0)
            assert yard.begun == []
        await until(lambda: yard.begun == ["taken"])


async def test_what_a_failed_commit_took_never_begins_and_gives_its_room_back() -> None:
    yard = Yard()
    async with working(yard):
        with pytest.raises(RuntimeError):
            _take_and_fail(yard)
        with yard.crew.seats(2) as seats:
            assert seats.room == 2
    assert yard.begun == []


async def test_room_set_aside_is_nobody_elses() -> None:
    yard = Yard()
    async with working(yard):
        with yard.crew.seats(1) as first:
            yard.waiting = ["a", "b"]
            yard.crew.wake()
            await until(lambda: yard.begun == ["a"])
            with yard.crew.seats(1) as second:
                assert (first.room, second.room) == (1, 0)


async def test_room_that_was_not_used_lets_the_loop_look_again() -> None:
    yard = Yard()
    async with working(yard):
        with yard.crew.seats(2):
            yard.waiting = ["a"]
            yard.crew.wake()
            await asyncio.sleep(0)
        await until(lambda: yard.begun == ["a"])


async def test_there_is_no_room_before_it_runs_and_once_it_stops() -> None:
    yard = Yard()
    with yard.crew.seats(1) as before:
        assert before.room == 0
    async with working(yard):
        yard.stop.set()
        yard.crew.wake()
        await until(lambda: _room(yard) == 0)


async def test_it_ends_only_after_the_commits_that_it_gave_room_to() -> None:
    yard = Yard()
    yard.ended.set()
    async with working(yard) as running:
        with yard.crew.seats(1) as seats:
            yard.stop.set()
            yard.crew.wake()
            await until(lambda: _room(yard) == 0)
            assert not running.done()
            seats.items.append("last")
        await asyncio.wait_for(running, 10)
    assert yard.begun == ["last"]


@pytest.mark.parametrize("error", [AWAY_ERRORS[0]("away"), ValueError("broken")])
async def test_an_error_ends_one_look_only(error: Exception) -> None:
    yard = Yard(waiting=["a"], broken=[error])
    async with working(yard):
        yard.crew.wake()
        await until(lambda: yard.begun == ["a"])


async def until(check: Callable[[], bool]) -> None:
    """Let the loop turn until a check holds."""
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - what is checked is not ours to signal
            await asyncio.sleep(0)


def _take_and_fail(yard: Yard) -> None:
    with yard.crew.seats(2) as seats:
        seats.items.append("undone")
        raise RuntimeError


def _room(yard: Yard) -> int:
    with yard.crew.seats(1) as seats:
        return seats.room
