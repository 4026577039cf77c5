"""Timer-free group commit: what arrives while a commit is under way forms the next batch.

The batcher owns the transaction through its `run` function. Nothing is answered before it
returned. It knows nothing of what the items are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.runtime.db import AWAY_ERRORS, RACE_ERRORS
from services.runtime.errors import UnavailableError

Item = TypeVar("Item")
Result = TypeVar("Result")

RACE_TRIES = 5


@dataclass(slots=True)
class _Entry(Generic[Item, Result]):
    item: Item
    done: asyncio.Future[Result]


class Batcher(Generic[Item, Result]):
    """Runs items in batches, one batch at a time, in order of arrival.

    `run` gets a batch and returns one result an item, in order; an item that it refuses comes
    back as an exception in its place. If `run` itself raises, the batch is undone and its items
    are run one by one, so that one bad item does not take its neighbours along; a lost lock race
    is run again whole; a database that is away fails all of them with `UnavailableError`.
    `key` says which items must not share a batch: at most one item a key, in order.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        name: str,
        key: Callable[[Item], Hashable] | None = None,
        max_size: int = 500,
    ) -> None:
        self._run = run
        self._name = name
        self._key = key
        self._max_size = max_size
        self._waiting: deque[_Entry[Item, Result]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Run one item; return its result after the commit of its batch, or raise its error.

        A cancelled caller does not take its item back: it may still be committed.
        """
        return await self._add(item)

    async def submit_all(self, items: Iterable[Item]) -> list[Result | Exception]:
        """Run several items, in order; return what `submit` would return or raise for each."""
        results: list[Result | Exception] = []
        for result in await asyncio.gather(*map(self._add, items), return_exceptions=True):
            if isinstance(result, BaseException) and not isinstance(result, Exception):
                raise result  # the batcher's own work was cancelled
            results.append(result)
        return results

    def _add(self, item: Item) -> asyncio.Future[Result]:
        if (loop := self._loop) is None:
            # Asked for once: until Python 3.12 each question is a system call.
            loop = self._loop = asyncio.get_running_loop()
        # `_Entry[Item, Result](…)` would cost three times as much: typing sets an attribute on
        # what it made, and slots refuse it.
        entry: _Entry[Item, Result] = _Entry(item, loop.create_future())
        self._waiting.append(entry)
        if self._worker is None:
            self._worker = loop.create_task(self._work(), name=f"batcher:{self._name}")
        return entry.done

    async def drain(self) -> None:
        """Wait until nothing is waiting or under way."""
        while self._worker is not None:
            await asyncio.wait([self._worker])

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._run_batch(self._next_batch())
        finally:
            self._worker = None

    def _next_batch(self) -> list[_Entry[Item, Result]]:
        if self._key is None:
            size = min(len(self._waiting), self._max_size)
            return [self._waiting.popleft() for _ in range(size)]
        batch: list[_Entry[Item, Result]] = []
        later: list[_Entry[Item, Result]] = []
        taken: set[Hashable] = set()
        while self._waiting and len(batch) < self._max_size:
            entry = self._waiting.popleft()
            key = self._key(entry.item)
            (later if key in taken else batch).append(entry)
            taken.add(key)
        self._waiting.extendleft(reversed(later))
        return batch

    async def _run_batch(self, batch: list[_Entry[Item, Result]]) -> None:
        try:
            results = await self._run_through_races([entry.item for entry in batch])
        except AWAY_ERRORS as error:
            away = UnavailableError(
                "the database is away or restarting; nothing was acknowledged, try again soon"
            )
            away.__cause__ = error
            _answer(batch, [away] * len(batch))
        except Exception as error:
            if len(batch) == 1:
                _answer(batch, [error])
                return
            for entry in batch:
                await self._run_batch([entry])
        except BaseException:
            for entry in batch:
                entry.done.cancel()
            raise
        else:
            _answer(batch, results)

    async def _run_through_races(self, items: list[Item]) -> Sequence[Result | Exception]:
        for _ in range(RACE_TRIES - 1):
            try:
                return await self._run(items)
            except RACE_ERRORS:
                continue
        return await self._run(items)


def _answer(batch: Sequence[_Entry[Item, Result]], results: Sequence[Result | Exception]) -> None:
    for entry, result in zip(batch, results, strict=True):
        if entry.done.cancelled():
            continue
        if isinstance(result, Exception):
            entry.done.set_exception(result)
        else:
            entry.done.set_result(result)
