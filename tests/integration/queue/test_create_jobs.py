"""Several jobs by one call: each is made, found or refused as if it had come alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import UUID

import grpc
import pytest

from etapa.queue.v1 import job_pb2, queue_pb2
from etapa_client import errors
from etapa_client.connection import MAX_MESSAGE_BYTES
from etapa_client.queue import MOST_CREATES
from services.queue.servicer_create import MAX_CREATES
from tests.support.postgres import MakeDatabase
from tests.support.queue_server import QueueServer, serving, submission
from tests.support.queue_world import QueueWorld, open_world

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
async def world(make_database: MakeDatabase) -> AsyncIterator[QueueWorld]:
    dsn = await make_database(["queue"])
    users = ("ana", "bia", "caio", *(f"u{n}" for n in range(10)))
    async with open_world(dsn, active_limit=3, users=users) as opened:
        yield opened
        await opened.check()


@pytest.fixture
async def queue(world: QueueWorld) -> AsyncIterator[QueueServer]:
    async with serving(world) as opened:
        yield opened


def wish(request_id: str, user_id: str = "ana", **fields: str) -> queue_pb2.CreateJobRequest:
    fields = {"tool": "upscaler", "input_json": "{}", "caller": "test", **fields}
    return queue_pb2.CreateJobRequest(
        request_id=request_id,
        user_id=user_id,
        ready=submission(),
        **fields,  # type: ignore[arg-type]  # texts only
    )


def made(result: queue_pb2.CreateJobResponse | errors.EtapaError) -> queue_pb2.CreateJobResponse:
    assert isinstance(result, queue_pb2.CreateJobResponse), result
    return result


async def alone(queue: QueueServer, request: queue_pb2.CreateJobRequest) -> errors.EtapaError:
    """Return what CreateJob itself refuses the request with."""
    with pytest.raises(errors.EtapaError) as refused:
        await queue.client.queue.create_job(
            request_id=request.request_id,
            caller=request.caller,
            user_id=request.user_id,
            tool=request.tool,
            variant=request.variant,
            input_json=request.input_json,
            ready=request.ready,
        )
    return refused.value


async def test_each_job_of_a_call_is_completed_and_stands_in_line_in_order(
    queue: QueueServer, world: QueueWorld
) -> None:
    users = ("ana", "bia", "caio")
    wishes = [wish(f"r{n}", users[n % 3]) for n in range(9)]
    jobs = [made(each).job for each in await queue.client.queue.create_jobs(wishes)]
    assert [job.user_id for job in jobs] == [each.user_id for each in wishes]
    assert {job.status for job in jobs} == {job_pb2.JOB_STATUS_QUEUED}
    assert [job.position for job in jobs] == list(range(1, 10))
    for job in jobs:
        assert await queue.client.queue.get_job(job.job_id) == job
    steps = ["upload", "insert", "credits", "queue_check", "queued"]
    assert await world.steps(UUID(jobs[-1].job_id)) == steps


async def test_what_is_wrong_is_refused_in_its_place_as_if_it_had_come_alone(
    queue: QueueServer,
) -> None:
    known = made((await queue.client.queue.create_jobs([wish("known")]))[0])
    other = wish("known", variant="", input_json='{"a": 1}')
    media = wish("known")
    media.ready.webapp_id = "1"
    wrong = [
        other,
        media,
        wish("no-tool", tool="unheard_of"),
        wish("no-json", input_json="{"),
        wish("nul", input_json='{"a":"\x00"}'),
        wish("", "bia"),
        wish("no-user", ""),
    ]
    wishes = [wish("first", "bia"), *wrong, wish("last", "bia")]
    results = await queue.client.queue.create_jobs(wishes)
    assert [made(results[i]).created for i in (0, -1)] == [True, True]
    assert made(results[0]).job.position < made(results[-1]).job.position
    for request, result in zip(wrong, results[1:-1], strict=True):
        told = await alone(queue, request)
        assert isinstance(result, errors.EtapaError)
        assert type(result) is type(told), request
        assert (result.reason, result.message) == (told.reason, told.message)
        assert (result.code, result.facts) == (told.code, told.facts)
    assert (await queue.client.queue.get_job(known.job.job_id)).seq == known.job.seq


async def test_a_repeat_in_the_same_call_or_a_later_one_finds_the_job(queue: QueueServer) -> None:
    create = queue.client.queue.create_jobs
    first, again, other = map(made, await create([wish("r"), wish("r"), wish("s")]))
    later, new = map(made, await create([wish("r"), wish("t")]))
    assert {first.job.job_id, again.job.job_id, later.job.job_id} == {first.job.job_id}
    assert [each.created for each in (first, again, other, later, new)] == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert len({first.job.job_id, other.job.job_id, new.job.job_id}) == 3


async def test_the_limit_of_active_jobs_counts_within_a_call(queue: QueueServer) -> None:
    wishes = [wish(f"r{n}") for n in range(5)] + [wish("b", "bia")]
    *ana, bia = await queue.client.queue.create_jobs(wishes)
    jobs = [made(each).job.job_id for each in ana[:3]]
    for refused in ana[3:]:
        assert isinstance(refused, errors.TooManyActiveJobsError)
        assert refused.active_job_ids == tuple(jobs)
        assert refused.facts == (await alone(queue, wish("r9"))).facts
    assert made(bia).created


async def test_a_job_without_credits_fails_there_and_its_neighbours_do_not(
    queue: QueueServer,
) -> None:
    poor, rich = map(made, await queue.client.queue.create_jobs([wish("p", "poor"), wish("r")]))
    assert (poor.job.status, poor.job.failed_at_step) == (
        job_pb2.JOB_STATUS_FAILED,
        job_pb2.STEP_CREDITS,
    )
    assert rich.job.status == job_pb2.JOB_STATUS_QUEUED
    for answer in (poor, rich):
        assert await queue.client.queue.get_job(answer.job.job_id) == answer.job


async def test_a_job_that_waits_for_media_is_admitted_among_others(queue: QueueServer) -> None:
    waiting = wish("w")
    waiting.ClearField("ready")
    open_job, complete = map(made, await queue.client.queue.create_jobs([waiting, wish("r")]))
    assert open_job.job.status == job_pb2.JOB_STATUS_PENDING
    assert await queue.client.queue.get_job(open_job.job.job_id) == open_job.job
    assert complete.job.position == 1


async def test_each_job_keeps_the_trace_of_what_asked_for_it(queue: QueueServer) -> None:
    told = [wish("a", traceparent=PARENT), wish("b"), wish("c", traceparent="junk")]
    traces = [made(each).job.trace_id for each in await queue.client.queue.create_jobs(told)]
    assert traces[0] == TRACE
    assert len(set(traces)) == 3
    assert all(len(trace) == 32 for trace in traces)


@pytest.mark.parametrize("count", [0, MAX_CREATES + 1])
async def test_a_call_of_none_or_too_many_is_refused(queue: QueueServer, count: int) -> None:
    with pytest.raises(errors.InvalidInputError) as refused:
        await queue.client.queue.create_jobs([wish(f"r{n}") for n in range(count)])
    assert refused.value.field == "requests"


def test_the_client_sends_as_many_as_the_queue_takes() -> None:
    assert MOST_CREATES == MAX_CREATES


async def test_calls_side_by_side_share_their_commits(queue: QueueServer) -> None:
    calls = [
        queue.client.queue.create_jobs([wish(f"{call}-{n}", f"u{call}") for n in range(3)])
        for call in range(10)
    ]
    results = [each for call in await asyncio.gather(*calls) for each in call]
    jobs = [made(each).job for each in results]
    assert len({job.job_id for job in jobs}) == 30


async def test_answers_that_are_too_large_together_fail_the_call_and_made_the_jobs(
    queue: QueueServer,
) -> None:
    room = MAX_MESSAGE_BYTES // MAX_CREATES - 60
    large = json.dumps({"a": "x" * (room - 8)})
    wishes = [wish(f"{n}", f"u{n % 100}", input_json=large) for n in range(MAX_CREATES)]
    for each in wishes:
        each.ClearField("ready")
    with pytest.raises(errors.EtapaError) as failed:
        await queue.client.queue.create_jobs(wishes)
    assert failed.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    half = await queue.client.queue.create_jobs(wishes[: MAX_CREATES // 2])
    assert {made(each).created for each in half} == {False}
