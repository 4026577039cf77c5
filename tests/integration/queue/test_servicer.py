"""Jobs over gRPC: what callers send, what they are told, and what is refused how."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from grpc import aio

from etapa.queue.v1 import job_pb2, queue_pb2
from etapa_client import errors
from services.queue import command as c
from services.queue.claim import Claimed
from services.queue.intake import Intake
from services.queue.run_time import RunTimes
from services.queue.store_reads import JobView
from services.queue.transitions import Transitions
from services.runtime.ids import new_id, token_hash
from tests.support import queue_play as play
from tests.support.postgres import MakeDatabase
from tests.support.queue_server import QueueServer, serving, submission
from tests.support.queue_world import QueueWorld, open_world
from tests.support.waiting import eventually

UNKNOWN = "01940000-0000-7000-8000-000000000000"


@pytest.fixture
async def world(make_database: MakeDatabase) -> AsyncIterator[QueueWorld]:
    async with open_world(await make_database(["queue"]), users=("ana", "bia")) as opened:
        yield opened


@pytest.fixture
async def queue(world: QueueWorld) -> AsyncIterator[QueueServer]:
    async with serving(world) as server:
        yield server


async def accept(world: QueueWorld) -> Claimed:
    (claimed,) = await world.claim(1)
    work = claimed.work
    await world.transitions.run(c.BeginStart(work.job_id, 1, work.token_sha256, "", ()))
    await world.transitions.run(c.Accept(work.job_id, 1, "7", ()))
    return claimed


async def complete(transitions: Transitions, job_id: UUID) -> None:
    await transitions.run(play.answer(job_id, 1, "success"))
    await transitions.run(c.SaveOutputs(job_id, 1, [play.OUTPUT]))


async def test_a_created_job_is_pending_at_upload_and_priced_by_the_catalogue(
    queue: QueueServer,
) -> None:
    job = await queue.client.queue.get_job(await queue.create())
    assert job.status == job_pb2.JOB_STATUS_PENDING
    assert job.current_step == job_pb2.STEP_UPLOAD
    assert (job.cost, job.seq, len(job.trace_id)) == (60, 1, 32)


async def test_create_answers_the_same_job_for_the_same_parameters(queue: QueueServer) -> None:
    first = await queue.create(request_id="r", input_json='{"a": 1, "b": [2.50]}')
    again = await queue.client.queue.create_job(
        request_id="r", user_id="ana", tool="upscaler", input_json='{"b":[2.5],"a":1}'
    )
    assert (again.job.job_id, again.created) == (first, False)


async def test_create_tells_whole_numbers_apart_beyond_doubles(queue: QueueServer) -> None:
    await queue.create(request_id="r", input_json='{"seed": 9007199254740993}')
    with pytest.raises(errors.RequestIdReusedError):
        await queue.create(request_id="r", input_json='{"seed": 9007199254740992}')


async def test_create_keeps_inputs_as_they_came(queue: QueueServer) -> None:
    job_id = await queue.create(input_json='{"seed": 9007199254740993}')
    job = await queue.client.queue.get_job(job_id)
    assert job.input_json == '{"seed": 9007199254740993}'


@pytest.mark.parametrize("fields", [{"tool": "nothing"}, {"variant": "pro"}])
async def test_create_refuses_what_was_never_announced(
    queue: QueueServer, fields: dict[str, str]
) -> None:
    with pytest.raises(errors.ToolNotFoundError):
        await queue.create(**fields)


async def test_create_names_the_active_jobs_beyond_the_limit(
    queue: QueueServer, world: QueueWorld
) -> None:
    first = await queue.create()
    limited = Intake(world.transitions, 1, 0)
    world.intake, old = limited, world.intake
    async with serving(world) as other:
        with pytest.raises(errors.TooManyActiveJobsError) as refused:
            await other.create()
    world.intake = old
    assert refused.value.active_job_ids == (first,)


async def test_a_wrong_field_is_named_to_the_caller(queue: QueueServer) -> None:
    with pytest.raises(errors.InvalidInputError) as refused:
        await queue.create(input_json="[]")
    assert (refused.value.field, refused.value.reason) == ("input_json", "INVALID_ARGUMENT")


async def test_a_submit_without_an_outcome_is_refused(queue: QueueServer) -> None:
    job_id = await queue.create()
    request = queue_pb2.SubmitJobRequest(job_id=job_id)
    with pytest.raises(aio.AioRpcError, match="either"):
        await queue.client.queue._stub.SubmitJob(request, timeout=10)


async def test_submit_queues_a_job_with_its_place(queue: QueueServer) -> None:
    first, second = await queue.enqueue(), await queue.enqueue()
    assert first.status == job_pb2.JOB_STATUS_QUEUED
    assert (first.position, second.position) == (1, 2)


async def test_submit_repeated_returns_the_job_as_it_is(queue: QueueServer) -> None:
    job = await queue.enqueue()
    again = await queue.client.queue.submit_job(job_id=job.job_id, ready=submission())
    assert (again.seq, again.status) == (job.seq, job.status)


async def test_submit_refuses_other_content(queue: QueueServer) -> None:
    job = await queue.enqueue()
    other = submission()
    other.nodes[1].text = "1024"
    with pytest.raises(errors.RequestIdReusedError):
        await queue.client.queue.submit_job(job_id=job.job_id, ready=other)


async def test_submit_without_credits_fails_at_credits(queue: QueueServer) -> None:
    job = await queue.enqueue("poor")
    assert job.failed_at_step == job_pb2.STEP_CREDITS
    assert job.error_class == "no_credits"


async def test_rejected_media_fails_the_job_at_upload_and_may_be_told_twice(
    queue: QueueServer,
) -> None:
    job_id = await queue.create()
    rejected = queue_pb2.MediaRejection(
        error_class="bad_media", message="not an image", details={"fileName": "x.exe"}
    )
    jobs = [await queue.client.queue.submit_job(job_id=job_id, rejected=rejected) for _ in "ab"]
    assert {job.failed_at_step for job in jobs} == {job_pb2.STEP_UPLOAD}
    assert jobs[0].seq == jobs[1].seq


async def test_another_rejection_of_a_failed_job_is_refused(queue: QueueServer) -> None:
    job_id = await queue.create()
    for word in ("bad_media", "upload_truncated"):
        rejected = queue_pb2.MediaRejection(error_class=word, message="no")
        if word == "bad_media":
            await queue.client.queue.submit_job(job_id=job_id, rejected=rejected)
    with pytest.raises(errors.JobAlreadyFinalError):
        await queue.client.queue.submit_job(job_id=job_id, rejected=rejected)


@pytest.mark.parametrize(
    ("job_id", "error"),
    [(UNKNOWN, errors.JobNotFoundError)]
    + [(text, errors.InvalidIdError) for text in ("", "x", "' OR 1=1", "7" * 5000)],
)
async def test_an_id_of_no_job_is_not_found_and_what_is_no_id_is_refused(
    queue: QueueServer, job_id: str, error: type[errors.EtapaError]
) -> None:
    jobs = queue.client.queue
    calls = [
        jobs.get_job(job_id),
        jobs.wait_job(job_id, max_wait_s=1),
        jobs.cancel_job(job_id),
        jobs.retry_job(job_id, request_id="r"),
        jobs.submit_job(job_id=job_id, ready=submission()),
        jobs.why_waiting(job_id),
    ]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(each) for each in found} == {error}


async def test_many_reads_at_once_each_get_their_own_job(queue: QueueServer) -> None:
    ids = [await queue.create() for _ in range(5)] * 20
    jobs = await asyncio.gather(*(queue.client.queue.get_job(job_id) for job_id in ids))
    assert [job.job_id for job in jobs] == ids


async def test_a_running_job_tells_an_estimate_below_the_end(
    queue: QueueServer, world: QueueWorld
) -> None:
    job = await queue.enqueue()
    await accept(world)
    assert not (await queue.client.queue.get_job(job.job_id)).HasField("progress")
    await world.fetch("UPDATE queue.tools SET typical_run_s = 100")
    seen = []
    for _ in range(3):
        world.later(40)
        seen.append((await queue.client.queue.get_job(job.job_id)).progress.percent)
    assert seen == [40, 80, 95]


async def test_a_completed_job_carries_outputs_and_their_first_url(
    queue: QueueServer, world: QueueWorld
) -> None:
    job = await queue.enqueue()
    await accept(world)
    await complete(world.transitions, UUID(job.job_id))
    done = await queue.client.queue.get_job(job.job_id)
    assert done.output_url == play.OUTPUT.url
    assert done.outputs[0].sha256 == play.OUTPUT.sha256
    assert (done.task_id, done.attempt) == ("7", 1)
    assert done.started_at.seconds
    assert done.completed_at.seconds


async def test_wait_returns_as_soon_as_this_process_ends_the_job(
    queue: QueueServer, world: QueueWorld
) -> None:
    job = await queue.enqueue()
    waiting = asyncio.create_task(queue.client.queue.wait_job(job.job_id, max_wait_s=30))
    await asyncio.sleep(0)
    await world.transitions.run(c.AskCancel(UUID(job.job_id), ""))
    assert (await waiting).status == job_pb2.JOB_STATUS_CANCELLED


async def test_wait_sees_an_end_that_another_process_committed(
    queue: QueueServer, world: QueueWorld
) -> None:
    job = await queue.enqueue()
    waiting = asyncio.create_task(queue.client.queue.wait_job(job.job_id, max_wait_s=30))
    other = Transitions(world.pool, world.policy, lambda: world.now)
    await other.run(c.AskCancel(UUID(job.job_id), ""))
    assert (await waiting).status == job_pb2.JOB_STATUS_CANCELLED


async def test_everybody_who_waits_is_woken_by_the_end_of_their_own_job(
    queue: QueueServer, world: QueueWorld
) -> None:
    ids = [(await queue.enqueue()).job_id for _ in range(10)]
    waits = [
        asyncio.create_task(queue.client.queue.wait_job(job_id, max_wait_s=30))
        for job_id in ids * 5
    ]
    other = Transitions(world.pool, world.policy, lambda: world.now)
    await asyncio.gather(*(other.run(c.AskCancel(UUID(job_id), "")) for job_id in ids))
    assert [job.job_id for job in await asyncio.gather(*waits)] == ids * 5
    assert not queue.waiters._waiting


async def test_wait_answers_with_the_open_job_when_its_time_has_passed(queue: QueueServer) -> None:
    job = await queue.enqueue()
    seen = await queue.client.queue.wait_job(job.job_id, max_wait_s=0.2)
    assert seen.status == job_pb2.JOB_STATUS_QUEUED


async def test_wait_without_a_length_answers_before_the_deadline(queue: QueueServer) -> None:
    job = await queue.enqueue()
    stub = queue.client.queue._stub
    response = await stub.WaitJob(queue_pb2.WaitJobRequest(job_id=job.job_id), timeout=1.0)
    assert response.job.status == job_pb2.JOB_STATUS_QUEUED


async def test_wait_is_told_to_ask_again_when_the_process_stops(queue: QueueServer) -> None:
    job = await queue.enqueue()
    stub = queue.client.queue._stub
    request = queue_pb2.WaitJobRequest(job_id=job.job_id)
    waiting = asyncio.ensure_future(stub.WaitJob(request, timeout=30))

    async def is_waiting() -> bool:
        return bool(queue.waiters._waiting)

    await eventually(is_waiting)
    queue.waiters.close()
    with pytest.raises(Exception, match="stopping"):
        await waiting


async def test_a_list_goes_through_all_pages_newest_first(queue: QueueServer) -> None:
    ids = [await queue.create() for _ in range(5)]
    seen, token = [], ""
    while True:
        page = await queue.client.queue.list_jobs(user_id="ana", page_size=2, page_token=token)
        seen += [job.job_id for job in page.jobs]
        if not (token := page.next_page_token):
            break
    assert seen == ids[::-1]


async def test_a_list_holds_what_was_asked_for(queue: QueueServer) -> None:
    mine = await queue.create("ana")
    await queue.create("bia")
    other = await queue.create("ana", tool="veste_ai")
    queued = (await queue.enqueue("bia")).job_id
    jobs = queue.client.queue
    only_mine = await jobs.list_jobs(user_id="ana", tool="upscaler")
    only_tool = await jobs.list_jobs(tool="veste_ai")
    only_queued = await jobs.list_jobs(statuses=[job_pb2.JOB_STATUS_QUEUED])
    none = await jobs.list_jobs(statuses=[job_pb2.JOB_STATUS_FAILED])
    found = [[job.job_id for job in page.jobs] for page in (only_mine, only_tool, only_queued)]
    assert found == [[mine], [other], [queued]]
    assert not none.jobs


@pytest.mark.parametrize("token", ["x", "", "AAAA", "é"])
async def test_a_page_token_of_other_filters_is_refused(queue: QueueServer, token: str) -> None:
    for _ in range(2):
        await queue.create()
    page = await queue.client.queue.list_jobs(page_size=1)
    with pytest.raises(errors.InvalidInputError) as refused:
        await queue.client.queue.list_jobs(user_id="ana", page_token=token or page.next_page_token)
    assert refused.value.field == "page_token"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"page_size": 201}, "page_size"),
        ({"page_size": -1}, "page_size"),
        ({"statuses": [99]}, "statuses"),
    ],
)
async def test_a_list_names_the_field_that_is_wrong(
    queue: QueueServer, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(errors.InvalidInputError) as refused:
        await queue.client.queue.list_jobs(**fields)
    assert refused.value.field == field


async def test_a_cancel_of_a_queued_job_ends_it_at_once(queue: QueueServer) -> None:
    job = await queue.enqueue()
    assert (await queue.client.queue.cancel_job(job.job_id, reason="no")).status == (
        job_pb2.JOB_STATUS_CANCELLED
    )
    with pytest.raises(errors.JobAlreadyFinalError):
        await queue.client.queue.cancel_job(job.job_id)


async def test_a_cancel_of_a_running_job_is_a_wish(queue: QueueServer, world: QueueWorld) -> None:
    job = await queue.enqueue()
    await accept(world)
    asked = await queue.client.queue.cancel_job(job.job_id)
    assert asked.status == job_pb2.JOB_STATUS_RUNNING
    assert asked.HasField("cancel_requested_at")


async def test_a_retry_makes_one_new_job_of_a_final_one(queue: QueueServer) -> None:
    job = await queue.enqueue()
    jobs = queue.client.queue
    with pytest.raises(errors.JobNotFinalError):
        await jobs.retry_job(job.job_id, request_id="again")
    await jobs.cancel_job(job.job_id)
    made = [await jobs.retry_job(job.job_id, request_id="again") for _ in "ab"]
    assert [each.created for each in made] == [True, False]
    assert made[0].job.job_id == made[1].job.job_id != job.job_id
    assert made[0].job.retry_of == job.job_id
    assert made[0].job.status == job_pb2.JOB_STATUS_QUEUED


async def test_the_trace_of_the_caller_becomes_the_job_s(queue: QueueServer) -> None:
    stub = queue.client.queue._stub
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    response = await stub.CreateJob(
        queue_pb2.CreateJobRequest(request_id="r", user_id="ana", tool="upscaler", input_json="{}"),
        timeout=10,
        metadata=(("traceparent", f"00-{trace_id}-b7ad6b7169203331-01"),),
    )
    assert response.job.trace_id == trace_id


async def test_the_queue_tells_totals_accounts_and_tools(
    queue: QueueServer, world: QueueWorld
) -> None:
    for _ in range(4):
        await queue.enqueue()
    await accept(world)
    load = await queue.client.queue.get_queue()
    assert (load.running, load.waiting, load.slots_available) == (1, 3, 2)
    assert load.oldest_queued_at.ToDatetime() == world.now.replace(tzinfo=None)
    held = {each.account: (each.slots, each.held, each.claimable) for each in load.accounts}
    assert sum(each[1] for each in held.values()) == 1
    assert {name: each[0] for name, each in held.items()} == {"primary": 2, "second": 1}
    tools = {each.tool: (each.waiting, each.running) for each in load.tools}
    assert tools == {"upscaler": (3, 1), "veste_ai": (0, 0)}


async def test_a_finalising_job_counts_as_running_of_its_tool(
    queue: QueueServer, world: QueueWorld
) -> None:
    job = await queue.enqueue()
    await accept(world)
    await world.transitions.run(play.answer(UUID(job.job_id), 1, "success"))
    load = await queue.client.queue.get_queue()
    assert load.running == 0
    assert {each.tool: each.running for each in load.tools}["upscaler"] == 1


async def test_why_waiting_of_a_job_that_does_not_wait_is_refused(queue: QueueServer) -> None:
    with pytest.raises(errors.JobNotQueuedError):
        await queue.client.queue.why_waiting(await queue.create())


async def test_a_callback_is_booked_once_and_its_job_named(
    queue: QueueServer, world: QueueWorld
) -> None:
    job = await queue.enqueue()
    claimed = await accept(world)
    told = callback(token_hash(claimed.token))
    unknown = callback(bytes(32))
    receipts = await queue.client.queue.report_callbacks([told, unknown, told])
    assert [receipt.job_id for receipt in receipts] == [job.job_id, "", job.job_id]
    assert [receipt.delivery_id for receipt in receipts][1] == unknown.delivery_id


async def test_a_callback_whose_id_is_none_is_refused(queue: QueueServer) -> None:
    told = callback(bytes(32))
    told.delivery_id = "x"
    with pytest.raises(errors.InvalidIdError) as refused:
        await queue.client.queue.report_callbacks([told])
    assert (refused.value.field, refused.value.value) == ("callbacks.delivery_id", "x")


async def test_hostile_words_in_a_callback_are_bounded_not_refused(queue: QueueServer) -> None:
    told = callback(bytes(32))
    told.event, told.task_id = "E\x00" * 500, "T" * 100_000
    assert len(await queue.client.queue.report_callbacks([told])) == 1


def callback(token_sha256: bytes) -> queue_pb2.Callback:
    made = queue_pb2.Callback(
        delivery_id=str(new_id()),
        token_hash=token_sha256,
        event="TASK_END",
        task_id="7",
        task_status="SUCCESS",
        has_output=True,
        body_sha256=bytes(32),
    )
    made.received_at.GetCurrentTime()
    return made


async def test_a_view_has_every_field_of_a_job() -> None:
    fields = {field.name for field in dataclasses.fields(JobView)}
    told = {field.name for field in job_pb2.Job.DESCRIPTOR.fields}
    assert told - fields == {"job_id", "output_url", "progress"}


async def test_run_times_move_the_usual_duration(queue: QueueServer, world: QueueWorld) -> None:
    run_times = RunTimes(world.transitions)
    job = await queue.enqueue()
    await accept(world)
    world.later(30)
    await world.transitions.run(play.answer(UUID(job.job_id), 1, "success"))
    await run_times.flush()
    (row,) = await world.fetch("SELECT typical_run_s FROM queue.tools WHERE name = 'upscaler'")
    assert row["typical_run_s"] == timedelta(seconds=30).total_seconds()
