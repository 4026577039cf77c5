"""Steps into observability over gRPC: in batches, one by one, and deep into a job."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from statistics import median

from bench.arena import Arena
from bench.events import Story, batches, numbered
from bench.result import Row, row_of
from etapa.observability.v1 import event_pb2, intake_pb2
from etapa_client import EtapaClient

_BATCH = 500
_JOBS = 500
_DEEP_STEPS, _DEEPEST_STEPS = 200, 20_000
# A step's cost is the median over so many places around it.
_WINDOW = 20


async def measure(arena: Arena) -> AsyncIterator[Row]:
    """Yield the rates, and what a late step costs against an early one."""
    rounds = arena.amount.rounds
    async with arena.etapa(services=("observability",)) as (_, client, _dsn):
        await _batched(client, 5_000)
        together, alone = [], []
        for _ in range(rounds):
            together.append(await _batched(client, int(8_000 * arena.amount.seconds)))
            alone.append(await _one_by_one(client, int(60 * arena.amount.seconds)))
        yield row_of(f"step intake, batches of {_BATCH}", together, "events/s")
        yield row_of("step intake, one a call, one at a time", alone, "events/s")
        ratios = [one / other for one, other in zip(together, alone, strict=True)]
        yield row_of("step intake batched against one by one", ratios, "x", ">= 30")
        depths = [await _deep_against_first(client) for _ in range(rounds)]
        yield row_of(f"step {_DEEP_STEPS} of a job against step 1", depths, "x", "<= 1.1")
        if not arena.amount.is_quick:
            async for row in _deepest(client):
                yield row


async def _batched(client: EtapaClient, events: int) -> float:
    stories = [Story() for _ in range(_JOBS)]
    made = list(batches(stories, max(events // _JOBS, 1), _BATCH))
    began = time.monotonic()
    await _send(client, made)
    return sum(map(len, made)) / (time.monotonic() - began)


async def _one_by_one(client: EtapaClient, events: int) -> float:
    story = Story()
    began = time.monotonic()
    for _ in range(events):
        await _send(client, [[story.next()]])
    return events / (time.monotonic() - began)


async def _deep_against_first(client: EtapaClient) -> float:
    """Compare late steps of jobs with early steps of others, in turn, so that noise hits both."""
    old = [Story() for _ in range(_JOBS)]
    await _send(client, list(batches(old, _DEEP_STEPS, _BATCH)))
    # The very first makes the jobs' own rows, which is another kind of work.
    new = [Story() for _ in range(_JOBS)]
    await _send(client, [[story.next() for story in new]])
    costs: dict[int, list[float]] = {id(old): [], id(new): []}
    for _ in range(_WINDOW):
        for stories in (old, new):
            events = [story.next() for story in stories]
            began = time.monotonic()
            await _send(client, [events])
            costs[id(stories)].append(time.monotonic() - began)
    return median(costs[id(old)]) / median(costs[id(new)])


async def _deepest(client: EtapaClient) -> AsyncIterator[Row]:
    story = Story()
    made = list(batches([story], _DEEPEST_STEPS, 100))
    costs = []
    for batch in made:
        began = time.monotonic()
        await _send(client, [batch])
        costs.append(time.monotonic() - began)
    ratio = median(costs[-_WINDOW:]) / median(costs[1 : 1 + _WINDOW])
    yield row_of(f"step {_DEEPEST_STEPS:,} of a job against its first ones", [ratio], "x")
    took = []
    for _ in range(20):
        began = time.monotonic()
        await client.trail.get_trail(story.job_id)
        took.append((time.monotonic() - began) * 1000)
    yield row_of(f"GetTrail of a job with {_DEEPEST_STEPS:,} steps", took, "ms")


async def _send(client: EtapaClient, made: Sequence[list[event_pb2.Event]]) -> None:
    async def requests() -> AsyncIterator[intake_pb2.RecordEventsRequest]:
        for number, batch in enumerate(made, 1):
            yield numbered(number, batch)

    async for answer in client.intake.record_events(requests()):
        if answer.rejected:
            raise RuntimeError(f"events were rejected: {answer.rejected[0].message}")
