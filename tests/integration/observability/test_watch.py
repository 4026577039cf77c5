from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from grpc import aio

from etapa.observability.v1 import event_pb2, trail_pb2
from services.observability.partition import ChangePruner
from services.runtime.db import open_pool
from services.runtime.ids import new_id
from tests.integration.observability.test_servicer import reason_of
from tests.support.history import History, completed, failed, queued, running
from tests.support.observability import Observability, connect, running_observability
from tests.support.postgres import MakeDatabase
from tests.support.waiting import eventually


@pytest.fixture
async def dsn(make_database: MakeDatabase) -> str:
    return await make_database(["observability"])


@pytest.fixture
async def service(dsn: str, tmp_path: Path) -> AsyncIterator[Observability]:
    async with running_observability(dsn, tmp_path, HEARTBEAT_S="0.2") as running_service:
        yield running_service


async def seqs_of(call: Any, last: int | None = None) -> list[int]:
    """Read the numbers of a stream's events, up to the end or to number `last`."""
    seqs = []
    async with asyncio.timeout(30):
        async for message in call:
            if message.HasField("event"):
                seqs.append(message.event.seq)
                if message.event.seq == last:
                    break
    return seqs


async def test_a_watch_of_a_finished_job_tells_everything_and_ends(service: Observability) -> None:
    job, _ = completed()
    await service.record_jobs(job)
    events = [each.event async for each in service.watch(job.job_id)]
    assert [each.seq for each in events] == list(range(1, len(job.events) + 1))
    assert [each.WhichOneof("kind") for each in events] == [
        each.WhichOneof("kind") for each in job.events
    ]
    assert events[0].step.facts == job.events[0].step.facts
    payloads = [each.payload for each in events if each.HasField("payload")]
    assert all(each.WhichOneof("content") is None for each in payloads)
    assert all(each.info.payload_id for each in payloads)


async def test_a_watch_resumes_after_the_last_number_seen(service: Observability) -> None:
    job, _ = completed()
    await service.record_jobs(job)
    last = len(job.events)
    assert await seqs_of(service.watch(job.job_id, last - 2)) == [last - 1, last]
    assert await seqs_of(service.watch(job.job_id, last)) == []


async def test_an_open_watch_hears_of_each_commit_and_ends_with_the_job(
    service: Observability,
) -> None:
    job, _ = failed()
    await service.record(job.events[:6])
    watching = asyncio.create_task(seqs_of(service.watch(job.job_id)))
    for event in job.events[6:]:
        await service.record([event])
    assert await watching == list(range(1, len(job.events) + 1))


async def test_a_watch_that_follows_hears_of_late_outputs(service: Observability) -> None:
    job, _ = failed()
    await service.record_jobs(job)
    call = service.watch(job.job_id, len(job.events), follow=True)
    late = completed()[0].events[-2].step.outputs
    job.add(outputs=event_pb2.OutputsEvent(outputs=late))
    await service.record(job.events[-1:])
    assert await seqs_of(call, len(job.events)) == [len(job.events)]
    call.cancel()


async def test_a_silent_watch_sends_heartbeats_with_the_last_number(
    service: Observability,
) -> None:
    job = queued()
    await service.record_jobs(job)
    call = service.watch(job.job_id)
    async with asyncio.timeout(10):
        async for message in call:
            if message.HasField("heartbeat"):
                assert message.heartbeat == len(job.events)
                break
    call.cancel()


@pytest.mark.parametrize("seed", range(3))
async def test_watchers_miss_and_repeat_nothing_while_events_arrive_in_any_order(
    service: Observability, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    jobs = [completed()[0] for _ in range(8)]
    for job in jobs:
        await service.record(job.events[:1])
    watching = [
        asyncio.create_task(seqs_of(service.watch(job.job_id))) for job in jobs for _ in range(5)
    ]
    events = [event for job in jobs for event in job.events] * 2
    chance.shuffle(events)
    await asyncio.gather(*(service.record(events[i::7], size=5) for i in range(7)))
    for seqs in await asyncio.gather(*watching):
        # The stream may end with the final step, the last but one event.
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) >= len(jobs[0].events) - 1


async def test_a_watch_goes_on_after_a_restart_of_the_server(dsn: str, tmp_path: Path) -> None:
    job, _ = failed()
    async with AsyncExitStack() as clients:
        async with running_observability(dsn, tmp_path) as first:
            await first.record(job.events[:5])
            client = await clients.enter_async_context(connect(first.port))
            call = client.watch(job.job_id)
            seen = await seqs_of(call, 5)
        with pytest.raises(aio.AioRpcError) as ended:
            seen += await seqs_of(call)
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    async with running_observability(dsn, tmp_path) as second:
        await second.record(job.events)
        seen += await seqs_of(second.watch(job.job_id, seen[-1]))
    assert seen == list(range(1, len(job.events) + 1))


@pytest.mark.parametrize("poll_s", ["0.05", "30"])
async def test_a_watch_hears_of_commits_of_another_replica(
    dsn: str, tmp_path: Path, poll_s: str
) -> None:
    """By the poll alone, and by the hint long before the poll."""
    job, _ = failed()
    async with (
        running_observability(dsn, tmp_path, POLL_S=poll_s) as here,
        running_observability(dsn, tmp_path) as there,
    ):
        await here.record(job.events[:3])
        watching = asyncio.create_task(seqs_of(here.watch(job.job_id)))
        await eventually(lambda: _is_listening(dsn))
        for start in range(3, len(job.events), 4):
            await there.record(job.events[start : start + 4])
        assert await asyncio.wait_for(watching, 15) == list(range(1, len(job.events) + 1))


async def _is_listening(dsn: str) -> bool:
    conn = await asyncpg.connect(dsn)
    try:
        return bool(
            await conn.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' "
                "AND datname = current_database()"
            )
        )
    finally:
        await conn.close()


async def test_many_watchers_cost_a_few_transactions_a_batch(
    service: Observability, dsn: str
) -> None:
    jobs, batches = [queued() for _ in range(20)], 12
    await service.record_jobs(*jobs)
    watching = [
        asyncio.create_task(seqs_of(service.watch(job.job_id, 6), 6 + batches))
        for job in jobs
        for _ in range(15)
    ]
    await eventually(lambda: _is_listening(dsn))
    for job in jobs:
        for _ in range(batches):
            job.step("queued", "queued", position=1)
    conn = await asyncpg.connect(dsn)
    before = await _commits(conn)
    for extra in range(batches):
        await service.record([job.events[6 + extra] for job in jobs])
    assert await asyncio.gather(*watching) == [list(range(7, 7 + batches))] * len(watching)
    # Postgres counts late, so the start of each watch, three commits, may still come into it. One
    # commit a watcher and batch would be 3600.
    assert await _commits(conn) - before < 3 * len(watching) + 25 * batches
    await conn.close()


async def _commits(conn: asyncpg.Connection[asyncpg.Record]) -> int:
    await conn.execute("SELECT pg_stat_clear_snapshot()")
    count: int = await conn.fetchval(
        "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    )
    return count


async def test_a_slow_reader_gets_everything_in_the_end(service: Observability) -> None:
    job = queued()
    await service.record_jobs(job)
    call = service.watch(job.job_id)
    assert await seqs_of(call, 3) == [1, 2, 3]
    for _ in range(3000):
        job.step("queued", "queued", position=1, padding="x" * 300)
    await service.record(job.events[6:], size=250)
    assert await seqs_of(call, len(job.events)) == list(range(4, len(job.events) + 1))
    call.cancel()


async def test_events_that_are_not_kept_any_more_end_the_watch(
    service: Observability, dsn: str
) -> None:
    job = running()
    await service.record(job.events[:4])
    await service.record(job.events[4:])
    conn = await asyncpg.connect(dsn)
    await conn.execute("DELETE FROM observability.chapters WHERE last_seq <= 4")
    await conn.close()
    with pytest.raises(aio.AioRpcError) as expired:
        await seqs_of(service.watch(job.job_id, 2))
    assert expired.value.code() is grpc.StatusCode.OUT_OF_RANGE
    assert reason_of(expired.value) == "SEQ_EXPIRED"
    assert (await seqs_of(service.watch(job.job_id, 4), 6)) == [5, 6]
    with pytest.raises(aio.AioRpcError) as beyond:
        await seqs_of(service.watch(job.job_id, 1000))
    assert reason_of(beyond.value) == "SEQ_EXPIRED"


async def test_a_job_that_never_was_cannot_be_watched(service: Observability) -> None:
    with pytest.raises(aio.AioRpcError) as missing:
        await seqs_of(service.watch(str(new_id())))
    assert reason_of(missing.value) == "JOB_NOT_FOUND"


async def test_more_streams_than_allowed_are_refused(dsn: str, tmp_path: Path) -> None:
    job = queued()
    async with running_observability(dsn, tmp_path, MAX_WATCHERS="1") as service:
        await service.record_jobs(job)
        first = service.watch(job.job_id)
        await seqs_of(first, 1)
        with pytest.raises(aio.AioRpcError) as refused:
            await seqs_of(service.watch(job.job_id))
        first.cancel()
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(refused.value) == "TOO_MANY_WATCHERS"


class JobsReader:
    """Reads a stream of jobs until each wanted job has been seen."""

    def __init__(self, service: Observability, **request: str) -> None:
        self.call = service.trail.WatchJobs(trail_pb2.WatchJobsRequest(**request))
        self.cursor = ""
        self.seen: list[tuple[str, int]] = []

    async def until(self, *jobs: History) -> list[tuple[str, int]]:
        """Read on until each job was seen with its last number; return all (job_id, seq)."""
        left = {(job.job_id, len(job.events)) for job in jobs}
        async with asyncio.timeout(20):
            while left:
                message = await self.call.read()
                self.cursor = message.cursor
                news = [(each.job_id, each.through_seq) for each in message.jobs]
                self.seen += news
                left -= set(news)
        return self.seen


async def test_a_list_is_told_first_and_then_each_change(service: Observability) -> None:
    old, new, other = queued(user_id="ana"), queued(user_id="ana"), queued(user_id="bia")
    await service.record_jobs(old, other)
    reader = JobsReader(service, user_id="ana")
    assert await reader.until(old) == [(old.job_id, 6)]
    await service.record_jobs(new)
    old.step("starting", "starting", 1)
    await service.record(old.events[-1:])
    assert set(await reader.until(new, old)) == {
        (old.job_id, 6),
        (new.job_id, 6),
        (old.job_id, 7),
    }
    reader.call.cancel()


async def test_a_list_resumes_from_its_cursor_after_a_restart(dsn: str, tmp_path: Path) -> None:
    old, new = queued(), queued()
    async with running_observability(dsn, tmp_path) as first:
        await first.record_jobs(old)
        reader = JobsReader(first)
        await reader.until(old)
        cursor = reader.cursor
        reader.call.cancel()
        await first.record_jobs(new)
    async with running_observability(dsn, tmp_path) as second:
        reader = JobsReader(second, cursor=cursor)
        assert (new.job_id, 6) in await reader.until(new)
        reader.call.cancel()


async def test_a_change_that_commits_late_is_not_passed_over(
    service: Observability, dsn: str
) -> None:
    late, early = queued(), queued()
    await service.record_jobs(late)
    reader = JobsReader(service)
    await reader.until(late)
    conn = await asyncpg.connect(dsn)
    transaction = conn.transaction()
    await transaction.start()
    await conn.execute("INSERT INTO observability.job_changes (job_ids) VALUES ($1)", [late.job_id])
    await service.record_jobs(early)
    await reader.until(early)
    reader.seen.clear()
    await transaction.commit()
    await conn.close()
    assert await reader.until(late) == [(late.job_id, 6)]
    reader.call.cancel()


async def test_a_cursor_whose_changes_are_forgotten_is_expired(
    service: Observability, dsn: str
) -> None:
    job = queued()
    await service.record_jobs(job)
    reader = JobsReader(service)
    await reader.until(job)
    reader.call.cancel()
    await service.record_jobs(queued())
    pool = await open_pool(dsn, "test")
    # Only what no open transaction can still precede is forgotten, in any database of the server.
    # (PostgreSQL 14 has no max() of transaction ids.)
    settled = (
        "SELECT NOT EXISTS (SELECT FROM observability.job_changes"
        " WHERE xid >= pg_snapshot_xmin(pg_current_snapshot()))"
    )

    async def is_settled() -> bool:
        return bool(await pool.fetchval(settled))

    await eventually(is_settled, timeout_s=60)
    pruner = ChangePruner(keep_s=60)
    await pruner.prune(pool, 1000)
    await pruner.prune(pool, 1070)
    await pool.close()
    with pytest.raises(aio.AioRpcError) as expired:
        await JobsReader(service, cursor=reader.cursor).until(job)
    assert expired.value.code() is grpc.StatusCode.OUT_OF_RANGE
    assert reason_of(expired.value) == "CURSOR_EXPIRED"
    with pytest.raises(aio.AioRpcError) as refused:
        await JobsReader(service, cursor="bm9uc2Vuc2U=").until(job)
    assert reason_of(refused.value) == "INVALID_CURSOR"


async def test_watchers_of_one_job_are_told_alike_whether_early_or_late(
    service: Observability,
) -> None:
    """As it is committed, and as it is read afterwards: the same events."""
    job, _ = failed()
    await service.record(job.events[:1])
    early = [service.watch(job.job_id) for _ in range(3)]
    for call in early:
        assert await seqs_of(call, 1) == [1]
    await service.record(job.events[1:], size=3)
    live = [await events_of(call) for call in early]
    late = await events_of(service.watch(job.job_id, 1))
    assert [each.seq for each in late] == list(range(2, len(job.events) + 1))
    for events in live:
        assert [in_one_form(each) for each in events] == [in_one_form(each) for each in late]


async def events_of(call: Any) -> list[event_pb2.Event]:
    """Read a stream's events up to its end."""
    async with asyncio.timeout(30):
        return [message.event async for message in call if message.HasField("event")]


def in_one_form(event: event_pb2.Event) -> event_pb2.Event:
    """Return an event whose details are written in one way: read ones have spaces of jsonb."""
    copy = event_pb2.Event()
    copy.CopyFrom(event)
    if copy.step.details_json:
        copy.step.details_json = json.dumps(json.loads(copy.step.details_json), sort_keys=True)
    return copy
