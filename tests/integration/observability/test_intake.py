from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from etapa.observability.v1 import event_pb2
from etapa.queue.v1 import job_pb2
from services.observability.delivery import forget_unmatched
from services.observability.history import read_events
from services.observability.partition import ensure_partitions
from services.observability.store.read import read_job
from services.observability.wire_trail import event_to_proto
from services.runtime.db import Pool
from services.runtime.errors import InvalidInputError
from services.runtime.ids import new_id
from tests.integration.observability.conftest import Desk
from tests.support.history import CALLBACK, History, completed, delivery, failed, queued, running


async def snapshot(pool: Pool, *jobs: History) -> dict[str, list[Any]]:
    """Everything stored about the jobs, but for the number of writes."""
    ids = [UUID(job.job_id) for job in jobs]
    async with pool.acquire() as conn:
        told = [await read_events(conn, job_id, 0, 1000, 1000) for job_id in sorted(ids)]
        return {"told": [event_to_proto(each) for events in told for each in events]} | {
            table: [
                {name: value for name, value in row.items() if name != "revision"}
                for row in await conn.fetch(
                    f"SELECT * FROM observability.{table} WHERE job_id = ANY ($1) ORDER BY {order}",
                    ids,
                )
            ]
            for table, order in {
                "jobs": "job_id",
                "events": "job_id, seq",
                "payloads": "job_id, seq",
                "keys": "key, job_id, kind",
            }.items()
        }


async def test_a_failed_job_is_projected_with_its_place_words_and_class(desk: Desk) -> None:
    job, evidence = failed()
    assert await desk.record(*job.events) == []
    async with desk.pool.acquire() as conn:
        found = await read_job(conn, UUID(job.job_id))
    assert found is not None
    assert (found.status, found.current_step, found.failed_at_step) == (
        "failed",
        "failed",
        "running",
    )
    assert found.error_class == "gpu_oom"
    assert "CUDA out of memory" in (found.error_message or "")
    assert found.evidence_payload_id == evidence
    assert found.through_seq == len(job.events)


@pytest.mark.parametrize("seed", range(12))
async def test_any_order_duplication_and_batching_gives_the_same_history(
    desk: Desk, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    (done, delivery_id), (broken, _), waiting = completed(), failed(), queued()
    broken.add(
        1,
        repeat=event_pb2.RepeatEvent(
            payload_id=broken.events[9].payload.info.payload_id,
            count=3,
            last_at=broken.events[9].occurred_at,
        ),
    )
    jobs = (done, broken, waiting)
    events = [event for job in jobs for event in job.events]
    await desk.record(*events)
    await desk.deliver(delivery(delivery_id))
    wanted = await snapshot(desk.pool, *jobs)
    assert [row["through_seq"] for row in wanted["jobs"]] == [
        len(job.events) for job in sorted(jobs, key=lambda each: each.job_id)
    ]
    async with desk.pool.acquire() as conn:
        await conn.execute(
            "TRUNCATE observability.jobs, observability.chapters, observability.payloads, "
            "observability.keys, observability.deliveries"
        )
    desk.committed.clear()

    shuffled = events * 2
    chance.shuffle(shuffled)
    calls: list[Coroutine[Any, Any, object]] = []
    while shuffled:
        size = chance.randint(1, 9)
        calls.append(desk.record(*shuffled[:size]))
        del shuffled[:size]
    calls.insert(chance.randint(0, len(calls)), desk.deliver(delivery(delivery_id)))
    while calls:
        size = chance.randint(1, 4)
        await asyncio.gather(*calls[:size])
        del calls[:size]

    assert await snapshot(desk.pool, *jobs) == wanted
    steps = [event for event in events if event.HasField("step")]
    assert len(desk.logged_steps) == len(steps)


async def test_two_writers_of_the_same_jobs_end_in_one_whole_history(desk: Desk) -> None:
    other = Desk(desk.pool, desk.blobs)
    jobs = [running() for _ in range(20)]
    events = [event for job in jobs for event in job.events]
    halves = [desk.record(*events[i : i + 7]) for i in range(0, len(events), 14)]
    others = [other.record(*events[i + 7 : i + 14]) for i in range(0, len(events), 14)]
    await asyncio.gather(*halves, *others)
    stored = await snapshot(desk.pool, *jobs)
    assert {row["through_seq"] for row in stored["jobs"]} == {len(jobs[0].events)}
    steps = len(desk.logged_steps) + len(other.logged_steps)
    assert steps == sum(event.HasField("step") for event in events)


async def test_nothing_shows_before_the_first_event(desk: Desk) -> None:
    job = queued()
    await desk.record(*job.events[1:])
    async with desk.pool.acquire() as conn:
        assert await read_job(conn, UUID(job.job_id)) is None
    await desk.record(job.events[0])
    async with desk.pool.acquire() as conn:
        found = await read_job(conn, UUID(job.job_id))
    assert found is not None
    assert (found.through_seq, found.status) == (len(job.events), "queued")


async def test_an_event_without_an_identity_is_rejected_and_its_neighbours_stored(
    desk: Desk,
) -> None:
    job = queued()
    bad_id = event_pb2.Event(job_id="no-uuid", seq=1)
    old_id = event_pb2.Event(job_id="7d444840-9dc0-11d1-b245-5ffdce74fad2", seq=1)
    bad_seq = event_pb2.Event(job_id=job.job_id, seq=0)
    rejected = await desk.record(job.events[0], bad_id, old_id, bad_seq, *job.events[1:])
    assert [(job_id, seq) for job_id, seq, _ in rejected] == [
        ("no-uuid", 1),
        (old_id.job_id, 1),
        (job.job_id, 0),
    ]
    async with desk.pool.acquire() as conn:
        found = await read_job(conn, UUID(job.job_id))
    assert found is not None
    assert found.through_seq == len(job.events)


async def test_an_unreadable_event_leaves_a_note_and_no_gap(desk: Desk) -> None:
    job = queued()
    job.events[2].step.step = job_pb2.Step.ValueType(99)
    rejected = await desk.record(*job.events)
    assert [(seq, why) for _, seq, why in rejected] == [(3, "step 99 is unknown here")]
    async with desk.pool.acquire() as conn:
        found = await read_job(conn, UUID(job.job_id))
    assert found is not None
    assert (found.through_seq, found.note_count) == (len(job.events), 1)


async def test_texts_that_postgres_cannot_hold_are_stored_nevertheless(desk: Desk) -> None:
    job = queued("upscaler", "user\x00one")
    job.step("queued", "queued", fileName="a\x00b")
    assert await desk.record(*job.events) == []
    async with desk.pool.acquire() as conn:
        found = await read_job(conn, UUID(job.job_id))
        details = await conn.fetchval(
            "SELECT details FROM observability.events WHERE job_id = $1 ORDER BY seq DESC LIMIT 1",
            UUID(job.job_id),
        )
    assert found is not None
    assert found.user_id == "user\ufffdone"
    assert "_text" in details


async def test_outputs_after_the_end_are_attached_and_the_status_stays(desk: Desk) -> None:
    job, _ = failed()
    late, _ = completed()
    outputs = late.events[-2].step.outputs
    job.add(outputs=event_pb2.OutputsEvent(outputs=outputs))
    await desk.record(*job.events)
    async with desk.pool.acquire() as conn:
        found = await read_job(conn, UUID(job.job_id))
    assert found is not None
    assert (found.status, found.output_url) == ("failed", outputs[0].url)


async def test_a_final_status_is_never_left_by_a_later_step(desk: Desk) -> None:
    job, _ = failed()
    job.step("running", "running", 1)
    await desk.record(*job.events)
    async with desk.pool.acquire() as conn:
        found = await read_job(conn, UUID(job.job_id))
    assert found is not None
    assert (found.status, found.through_seq) == ("failed", len(job.events))


async def test_too_many_events_in_one_batch_are_refused(desk: Desk) -> None:
    event = event_pb2.Event(job_id=str(new_id()), seq=1)
    with pytest.raises(InvalidInputError):
        await desk.record(*[event] * 1001)


async def test_a_repeated_delivery_changes_nothing(desk: Desk) -> None:
    job, delivery_id = completed()
    await desk.deliver(delivery(delivery_id))
    await desk.record(*job.events)
    before = await snapshot(desk.pool, job)
    other = delivery(delivery_id, b"not what came first")
    await desk.deliver(other, other)
    assert await snapshot(desk.pool, job) == before
    bodies = await desk.pool.fetch(
        "SELECT observability.unframed(frame) AS body FROM observability.deliveries"
    )
    assert [row["body"] for row in bodies] == [CALLBACK]


async def test_only_what_no_job_claims_in_time_is_forgotten(desk: Desk) -> None:
    job, claimed = completed()
    unknown = [str(new_id()) for _ in range(3)]
    began = datetime.now(UTC) - timedelta(seconds=60)
    await desk.deliver(delivery(claimed), *map(delivery, unknown))
    await desk.record(*job.events)
    assert await forget_unmatched(desk.pool, began) == 0
    assert await forget_unmatched(desk.pool, began + timedelta(seconds=120)) == 3
    left = await desk.pool.fetch("SELECT delivery_id FROM observability.deliveries")
    assert [str(row["delivery_id"]) for row in left] == [claimed]


async def test_more_than_a_batch_is_looked_at_and_none_twice(desk: Desk) -> None:
    job, claimed = completed()
    await desk.record(*job.events)
    ids = [str(new_id()) for _ in range(8)]
    await desk.deliver(*map(delivery, ids), delivery(claimed))
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert await forget_unmatched(desk.pool, tomorrow, batch=3) == 8
    await desk.pool.execute("TRUNCATE observability.keys")
    assert await forget_unmatched(desk.pool, tomorrow, batch=3) == 0
    assert await desk.pool.fetchval("SELECT count(*) FROM observability.deliveries") == 1


async def test_rows_outside_all_ranges_move_when_their_range_is_made(desk: Desk) -> None:
    job = queued()
    far = UUID(int=UUID(job.job_id).int + ((40 * 86_400_000) << 80))
    for event in job.events:
        event.job_id = str(far)
    await desk.record(*job.events)
    assert await places(desk.pool) == {
        "observability.jobs_default",
        "observability.chapters_default",
    }
    await ensure_partitions(desk.pool, datetime.now(UTC) + timedelta(days=40), 7)
    moved = await places(desk.pool)
    assert len(moved) == 2
    assert not any(place.endswith("_default") for place in moved)
    await desk.record(*job.events)
    assert len(desk.logged_steps) == 5


async def places(pool: Pool) -> set[str]:
    """The partitions that hold any job or event."""
    async with pool.acquire() as conn:
        rows = await conn.fetch(
            "SELECT tableoid::regclass::text AS place FROM observability.jobs "
            "UNION SELECT tableoid::regclass::text FROM observability.chapters"
        )
    return {row["place"] for row in rows}


async def test_an_event_that_the_database_refuses_costs_only_itself(desk: Desk) -> None:
    """A stand-in for what nobody thought of: a constraint that one event in the batch breaks."""
    good, bad = queued(), queued()
    async with desk.pool.acquire() as conn:
        await conn.execute(
            "ALTER TABLE observability.chapters ADD CONSTRAINT surprise "
            f"CHECK (NOT (job_id = '{bad.job_id}' AND 3 BETWEEN seq AND last_seq "
            "AND substr(kinds, (4 - seq)::integer, 1) = 's'))"
        )
    rejected = await desk.record(*good.events, *bad.events)
    assert [(job_id, seq) for job_id, seq, _ in rejected] == [(bad.job_id, 3)]
    assert "surprise" in rejected[0][2]
    async with desk.pool.acquire() as conn:
        found = [await read_job(conn, UUID(job.job_id)) for job in (good, bad)]
    assert [each.through_seq if each else 0 for each in found] == [6, 6]
    assert found[1] is not None
    assert (found[1].note_count, found[1].step_count) == (1, 4)
