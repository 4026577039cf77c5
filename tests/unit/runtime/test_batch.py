"""The batcher: timer-free, in order, one bad item set apart, nothing answered early."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from services.runtime.batch import Batcher
from services.runtime.errors import UnavailableError


class Recorder:
    """A `run` that waits at a gate and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.bad: set[int] = set()
        self.errors: list[BaseException] = []

    async def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(items))
        self.entered.set()
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        if self.bad & set(items):
            raise ValueError("a constraint refused the batch")
        return [item * 10 for item in items]


async def submit_all(batcher: Batcher[int, int], items: Sequence[int]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batcher.submit(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def test_what_arrives_during_a_batch_forms_the_next() -> None:
    run = Recorder()
    batcher = Batcher[int, int](run, name="test")
    first = await submit_all(batcher, [1])
    await run.entered.wait()
    rest = await submit_all(batcher, [2, 3, 4])
    run.gate.set()
    assert await asyncio.gather(*first, *rest) == [10, 20, 30, 40]
    assert run.batches == [[1], [2, 3, 4]]


async def test_nothing_is_answered_before_the_batch_is_done() -> None:
    run = Recorder()
    batcher = Batcher[int, int](run, name="test")
    (task,) = await submit_all(batcher, [1])
    await run.entered.wait()
    assert not task.done()
    run.gate.set()
    assert await task == 10


async def test_a_batch_holds_at_most_one_item_a_key_in_order() -> None:
    run = Recorder()
    batcher = Batcher[int, int](run, name="test", key=lambda item: item % 10)
    first = await submit_all(batcher, [0])
    await run.entered.wait()
    rest = await submit_all(batcher, [1, 11, 2, 21, 12])
    run.gate.set()
    await asyncio.gather(*first, *rest)
    assert run.batches == [[0], [1, 2], [11, 12], [21]]


async def test_one_bad_item_is_set_apart() -> None:
    run = Recorder()
    run.gate.set()
    run.bad = {2}
    batcher = Batcher[int, int](run, name="test")
    tasks = await submit_all(batcher, [1, 2, 3])
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] == 10
    assert isinstance(results[1], ValueError)
    assert results[2] == 30


async def test_a_lost_race_is_run_again_whole() -> None:
    run = Recorder()
    run.gate.set()
    run.errors = [asyncpg.DeadlockDetectedError("x"), asyncpg.SerializationError("x")]
    batcher = Batcher[int, int](run, name="test")
    assert await batcher.submit(1) == 10
    assert len(run.batches) == 3


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError("x"), asyncpg.ConnectionDoesNotExistError("x")]
)
async def test_an_absent_database_fails_all_with_unavailable(error: BaseException) -> None:
    run = Recorder()
    run.gate.set()
    run.errors = [error]
    batcher = Batcher[int, int](run, name="test")
    with pytest.raises(UnavailableError, match="nothing was acknowledged"):
        await batcher.submit(1)
    assert await batcher.submit(2) == 20


async def test_a_cancelled_caller_does_not_stop_the_others() -> None:
    run = Recorder()
    batcher = Batcher[int, int](run, name="test")
    first, second = await submit_all(batcher, [1, 2])
    await run.entered.wait()
    first.cancel()
    run.gate.set()
    assert await second == 20
    await batcher.drain()


async def test_several_submitted_together_stay_in_order_and_are_answered_one_by_one() -> None:
    run = Recorder()
    run.gate.set()
    run.bad = {2}
    batcher = Batcher[int, int](run, name="test")
    one, two, three = await batcher.submit_all([1, 2, 3])
    assert (one, three) == (10, 30)
    assert isinstance(two, ValueError)
    assert run.batches[0] == [1, 2, 3]
    assert await batcher.submit_all([]) == []
